"""The inbox as a page shows it: groups, folded rows, costs in whole dollars."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from app.api.client.client import NoAnswer
from app.api.schemas.inbox import InboxItem
from app.domain.review.inbox import Group, ItemKind
from app.state.review.inbox_board import ROWS, InboxBoard, cost_words

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def item(number: int, kind: ItemKind = ItemKind.CHANGE, group: Group = Group.REVIEW) -> InboxItem:
    """Return an item; later numbers are newer."""
    return InboxItem(
        id=f"{kind}:{number}",
        kind=kind,
        group=group,
        title=f"Change {number}",
        sentence="1 file",
        at=NOON + timedelta(minutes=number),
        action="Merge",
        url="/",
        change=number,
    )


def test_groups_are_in_order_and_fold_after_twenty_rows() -> None:
    board = InboxBoard()
    board.load([*map(item, range(25)), item(1, ItemKind.PAUSED, Group.ATTENTION)])
    attention, review = board.groups()
    assert (attention.name, attention.count) == ("Needs attention", 1)
    assert (len(review.rows), review.count) == (ROWS, 25)
    assert review.rows[0].id == "change:24"
    board.show_all(Group.REVIEW)
    assert len(board.groups()[1].rows) == 25


def test_an_item_shows_its_busy_word_and_goes_once_it_is_done() -> None:
    board, words = InboxBoard(), []
    board.load([item(1), item(2)])

    async def act() -> None:
        words.append(board.word_of(item(1)))

    asyncio.run(board.act(item(1), act, lambda: None))
    assert words == ["Merging…"]
    assert [one.id for one in board.groups()[0].rows] == ["change:2"]


def test_an_item_stays_if_its_action_fails() -> None:
    board = InboxBoard()
    board.load([item(1)])

    async def act() -> None:
        raise NoAnswer("corr")

    with pytest.raises(NoAnswer):
        asyncio.run(board.act(item(1), act, lambda: None))
    assert board.word_of(item(1)) == ""
    assert board.groups()[0].count == 1


@pytest.mark.parametrize(
    ("cost", "unknown", "words"),
    [
        (None, 0, ""),
        (None, 3, ""),
        (61.2, 0, "$61"),
        (0.2, 0, "$1"),
        (61.2, 2, "$61+"),
        (0, 1, "$0+"),
    ],
)
def test_a_cost_is_told_in_whole_dollars(cost: float | None, unknown: int, words: str) -> None:
    assert cost_words(cost, unknown) == words
