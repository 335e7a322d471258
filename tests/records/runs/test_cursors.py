"""Cursors at the edges: the row a cursor points to may be gone."""

from __future__ import annotations

import base64

import pytest

from app.records.database.cursors import page_from, read_cursor, read_position


def cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize("at", ["n|999999999", "n|999999998", "n|0", "p|0", "p|-1", "p|999999999"])
def test_an_empty_page_of_positions_leads_back_from_wherever_it_is(at: str) -> None:
    place = read_position(cursor(at))
    items, next_cursor, prev_cursor = place.page([], 5)
    [back] = [one for one in (next_cursor, prev_cursor) if one]
    assert (items, read_position(back).forwards) == ([], not place.forwards)


@pytest.mark.parametrize(
    "at",
    [
        "n|1970-01-01T00:00:00+00:00",
        "p|1970-01-01T00:00:00+00:00",
        "n|9998-12-31T23:59:59.999999+00:00",
        "p|9998-12-31T23:59:59.999999+00:00",
    ],
)
def test_an_empty_page_of_rows_leads_back_from_wherever_it_is(at: str) -> None:
    place = read_cursor(cursor(f"{at}|row"), lambda _: True)
    assert place is not None
    items, next_cursor, prev_cursor = page_from(place, [], 5)
    [back] = [one for one in (next_cursor, prev_cursor) if one]
    there = read_cursor(back, lambda _: True)
    assert there is not None
    assert (items, there.forwards) == ([], not place.forwards)
