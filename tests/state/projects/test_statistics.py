"""Chart data in readable units."""

from __future__ import annotations

import pytest

from app.state.projects.charts import chosen_range, scaled

MINUTES = (("min", 60), ("s", 1))


@pytest.mark.parametrize(
    ("asked", "days"), [("7", 7), ("90", 90), ("", 30), ("31", 30), ("x", 30), ("-7", 30)]
)
def test_only_the_ranges_that_are_offered_can_be_asked_for(asked: str, days: int) -> None:
    assert chosen_range(asked) == days


@pytest.mark.parametrize(
    ("values", "unit", "shown"),
    [
        ([], "s", []),
        ([None, None], "s", [None, None]),
        ([119.0, None], "s", [119.0, None]),
        ([120.0, 6.0], "min", [2.0, 0.1]),
        ([75.04, 0.0], "s", [75.0, 0.0]),
    ],
)
def test_the_largest_value_chooses_the_unit(
    values: list[float | None], unit: str, shown: list[float | None]
) -> None:
    assert scaled(values, MINUTES) == (unit, shown)
