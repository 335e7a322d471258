"""The inbox as a page shows it: groups, selection, picked changes, actions."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.api.client.client import NoAnswer
from app.api.schemas.inbox import ChangeFactsOut, InboxItem
from app.domain.review.inbox import GROUPS, Group, ItemKind
from app.state.review.inbox_board import AHEAD, ROWS, InboxBoard

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def facts(**more: Any) -> ChangeFactsOut:
    """Return the facts of a change whose two checks passed."""
    sizes = dict.fromkeys(("commits", "files_changed", "additions", "deletions"), 1)
    whole = {"branch": "afk/1", "base": "main", "draft": False, "checks": 2, "red": 0}
    return ChangeFactsOut.model_validate(sizes | whole | more)


def item(number: int, kind: ItemKind = ItemKind.CHANGE, **more: Any) -> InboxItem:
    """Return an item; later numbers are newer."""
    return InboxItem.model_validate(
        {
            "id": f"{kind}:{number}",
            "kind": kind,
            "group": GROUPS.get(kind, Group.ATTENTION),
            "title": f"Change {number}",
            "sentence": "1 file",
            "at": NOON + timedelta(minutes=number),
            "action": "Merge",
            "url": "/",
            "change": number,
            **more,
        }
    )


def board_of(*items: InboxItem) -> InboxBoard:
    """Return a board with these items, as a page has drawn it once."""
    board = InboxBoard()
    board.load(items)
    board.settle()
    return board


def test_groups_are_in_order_and_fold_after_twenty_rows() -> None:
    board = board_of(*map(item, range(25)), item(1, ItemKind.PAUSED))
    attention, review = board.groups()
    assert (attention.name, attention.count) == ("Needs attention", 1)
    assert (len(review.rows), review.count) == (ROWS, 25)
    assert review.rows[0].id == "change:24"
    board.show_all(Group.REVIEW)
    assert len(board.groups()[1].rows) == 25


def test_parked_work_is_folded_with_its_count_until_a_person_opens_it() -> None:
    board = board_of(item(1, ItemKind.PARKED), item(2, ItemKind.PARKED))
    (parked,) = board.groups()
    assert (parked.rows, parked.count, board.selected) == ((), 2, None)
    board.toggle(Group.PARKED)
    assert [one.id for one in board.groups()[0].rows] == ["parked:2", "parked:1"]


def test_one_project_can_be_chosen() -> None:
    board = board_of(item(1, project_id="a"), item(2, project_id="b"))
    board.project_id = "a"
    assert [one.id for one in board.groups()[0].rows] == ["change:1"]


def test_the_next_row_is_selected_once_the_selected_one_is_gone() -> None:
    board = board_of(*map(item, range(4)))
    assert board.selected_id == "change:3"
    board.select("change:2")
    # somebody else merges it, and another change comes in
    board.load(map(item, (0, 1, 3, 9)))
    board.settle()
    assert board.selected_id == "change:1"
    board.load([item(3)])
    board.settle()
    assert board.selected_id == "change:3"
    board.load([])
    board.settle()
    assert board.selected_id is None


def test_moving_to_the_end_of_a_folded_group_opens_it() -> None:
    board = board_of(*map(item, range(30)))
    rows = board.groups()[0].rows
    assert not board.select(rows[ROWS - AHEAD - 1].id)
    assert board.select(rows[ROWS - AHEAD].id)
    assert len(board.groups()[0].rows) == 30


def test_an_item_has_its_place_among_those_of_its_group() -> None:
    board = board_of(*map(item, range(41)), item(1, ItemKind.PAUSED))
    assert board.place_of(item(40)) == (1, 41)
    assert board.place_of(item(0)) == (41, 41)


def test_picked_changes_are_merged_oldest_first_and_forgotten_once_they_are_gone() -> None:
    board = board_of(*map(item, range(4)), item(1, ItemKind.PAUSED))
    for one in ("change:3", "change:1", "change:2", "change:2", "paused:1"):
        board.pick(one)
    assert [one.id for one in board.picked] == ["change:1", "change:3"]
    board.load([item(3)])
    assert [one.id for one in board.picked] == ["change:3"]
    board.unpick()
    assert board.picked == []


@pytest.mark.parametrize(
    ("more", "passes"),
    [
        ({}, True),
        ({"checks": 0}, False),
        ({"red": 1}, False),
        ({"draft": True}, False),
        ({"conflicts": ["a.py"]}, False),
        ({"conflicts": []}, True),
    ],
)
def test_only_changes_whose_checks_all_passed_are_merged_together(
    more: dict[str, Any], *, passes: bool
) -> None:
    board = board_of(item(1, facts=facts(**more)), item(2))
    assert bool(board.passing) is passes


def test_an_item_shows_its_busy_word_and_goes_once_it_is_done() -> None:
    board, words = board_of(item(1), item(2)), []

    async def act() -> None:
        words.append(board.word_of(item(1)))

    asyncio.run(board.act(item(1), act, lambda: None))
    assert words == ["Merging…"]
    assert [one.id for one in board.groups()[0].rows] == ["change:2"]


def test_an_item_stays_if_its_action_fails() -> None:
    board = board_of(item(1))

    async def act() -> None:
        raise NoAnswer("corr")

    with pytest.raises(NoAnswer):
        asyncio.run(board.act(item(1), act, lambda: None))
    assert board.word_of(item(1)) == ""
    assert board.groups()[0].count == 1
