"""The place in the queue that a card gets when a person drops it on the board."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.tracker.drops import Card, drop_of


def card(words: str) -> Card:
    """Return a card from `shop#3 high`."""
    name, priority = words.split()
    project, number = name.split("#")
    return Card(project, int(number), priority)


COLUMN = ("shop#9 urgent", "shop#3 high", "bank#1 high", "shop#5 normal", "shop#6 normal")


@pytest.mark.parametrize(
    ("moved", "place", "change"),
    [
        # the card below decides
        ("shop#7 normal", 0, {"priority": "urgent", "before": 9}),
        ("shop#7 normal", 1, {"priority": "high", "before": 3}),
        ("shop#7 low", 3, {"priority": "normal", "before": 5}),
        ("shop#7 normal", 4, {"priority": "normal", "before": 6}),
        # at the end, the card above
        ("shop#7 urgent", 5, {"priority": "normal", "after": 6}),
        ("shop#7 urgent", 99, {"priority": "normal", "after": 6}),
        # the neighbors in its own queue count: a card of another project is none
        ("shop#7 normal", 2, {"priority": "high", "after": 3}),
        ("bank#2 normal", 1, {"priority": "high", "before": 1}),
        ("bank#2 high", 5, {"priority": "normal"}),
        ("bank#2 normal", 5, None),
    ],
)
def test_a_dropped_card_takes_the_priority_of_the_card_below(
    moved: str, place: int, change: dict[str, Any] | None
) -> None:
    drop = drop_of(card(moved), [card(one) for one in COLUMN], place)
    assert (drop.change if drop else None) == change


def test_a_card_that_is_alone_stays_as_it_is() -> None:
    assert drop_of(card("shop#7 low"), [], 0) is None
