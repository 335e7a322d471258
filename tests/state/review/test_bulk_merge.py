"""Merging several changes: one by one, to the first that cannot be merged."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import ChangeOut
from app.api.schemas.inbox import InboxItem
from app.state.review.bulk_merge import BulkEnd, BulkUndone, merge_in_turn, undo_in_turn
from tests.state.review.test_inbox_board import item


def refusal(code: str, detail: str = "No.", **members: object) -> ApiProblem:
    """Return a refusal as the server sends it."""
    return ApiProblem(409, {"error": code, "detail": detail, **members}, "corr")


def merged(faults: Mapping[int, Exception], count: int = 4) -> tuple[list[int], BulkEnd]:
    """Return which of `count` changes were asked for, and the end; `faults` by number."""
    asked: list[int] = []

    async def merge(one: InboxItem) -> None:
        asked.append(one.change or 0)
        if fault := faults.get(one.change or 0):
            raise fault

    return asked, asyncio.run(merge_in_turn([item(n) for n in range(1, count + 1)], merge))


def test_all_are_merged_in_their_order() -> None:
    asked, end = merged({})
    assert asked == [1, 2, 3, 4]
    assert end.sentence == "Merged 4 changes."


@pytest.mark.parametrize(
    ("fault", "because"),
    [
        (refusal("merge_conflict", files=["api.py"]), "conflicts in api.py"),
        (refusal("merge_conflict", files=["a.py", "b.py"]), "conflicts in a.py, b.py"),
        (refusal("secret_found", "A secret was found."), "A secret was found"),
        (NoAnswer("corr"), "The server did not answer"),
    ],
    ids=["conflict", "conflicts", "secret", "silence"],
)
def test_the_first_that_cannot_be_merged_stops_the_rest(fault: Exception, because: str) -> None:
    asked, end = merged({3: fault})
    assert asked == [1, 2, 3]
    assert end.sentence == f"Stopped at “Change 3”: {because}. 2 merged, 2 left."


def test_what_somebody_else_has_merged_meanwhile_is_passed_over() -> None:
    asked, end = merged({2: refusal("already_ended")})
    assert asked == [1, 2, 3, 4]
    assert end.sentence == "Merged 3 changes."


def undone(faults: Mapping[int, Exception], count: int = 3) -> tuple[list[int], BulkUndone]:
    """Return which of `count` merges were taken back, in order, and the end."""
    asked: list[int] = []

    async def undo(one: InboxItem) -> None:
        asked.append(one.change or 0)
        if fault := faults.get(one.change or 0):
            raise fault

    return asked, asyncio.run(undo_in_turn([item(n) for n in range(1, count + 1)], undo))


def test_the_end_of_a_bulk_merge_names_exactly_those_that_it_merged() -> None:
    _, end = merged({2: refusal("already_ended"), 4: refusal("merge_conflict", files=["a"])})
    assert [one.change for one in end.merged] == [1, 3]


def test_a_bulk_merge_is_taken_back_from_its_end() -> None:
    asked, end = undone({})
    assert asked == [3, 2, 1]
    assert end.sentence == "3 changes to review take them back."
    assert undone({}, count=1)[1].sentence == "1 change to review takes it back."


def test_a_merge_that_cannot_be_taken_back_stops_no_other() -> None:
    asked, end = undone({2: refusal("merge_conflict", files=["api.py"]), 1: NoAnswer("corr")})
    assert asked == [3, 2, 1]
    assert end.sentence == (
        "Not undone: “Change 2” (conflicts in api.py), and 1 more."
        " 1 change to review takes it back."
    )
    _, end = undone({1: refusal("not_merged", "It is open.")}, count=1)
    assert end.sentence == "Not undone: “Change 1” (It is open)."


def test_what_a_forge_merges_later_is_told_apart_and_cannot_be_undone() -> None:
    async def merge(one: InboxItem) -> ChangeOut:
        state = "open" if one.change == 2 else "merged"
        return ChangeOut.model_construct(state=state)

    end = asyncio.run(merge_in_turn([item(n) for n in range(1, 4)], merge))
    assert [one.change for one in end.merged] == [1, 3]
    assert end.sentence == "Merged 2 changes. 1 change merges by itself at the forge."
    alone = asyncio.run(merge_in_turn([item(2)], merge))
    assert alone.sentence == "1 change merges by itself at the forge."
