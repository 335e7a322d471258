"""The issues of all projects as one person sees them: filters, groups, drops, roll-backs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.api.schemas import BoardIssueOut, BoardOut, IssueOut
from app.domain.tracker.drops import Drop
from app.domain.tracker.issue_states import IssueState
from app.state.tracker.issue_board import BoardFilter, IssueBoardState
from app.state.tracker.issue_changes import labelled, toggled_ready, turned

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def an_issue(name: str, state: str = "ready", **more: Any) -> BoardIssueOut:
    """Return an issue from `shop#3`."""
    project, number = name.split("#")
    known: dict[str, Any] = {
        "project_id": project,
        "project_name": project,
        "number": number,
        "title": "t",
        "labels": [],
        "priority": "normal",
        "state": state,
        "next": "Next",
        "tone": "usual",
        "may_run": state == "ready",
        "agent": "claude",
        "updated_at": NOON,
    }
    return BoardIssueOut.model_validate(known | more)


def a_board(*issues: BoardIssueOut, closed: int = 0) -> BoardOut:
    names = sorted({one.project_id for one in issues})
    projects = [{"project_id": one, "name": one, "open": 1, "closed": closed} for one in names]
    return BoardOut.model_validate({"items": issues, "counts": {}, "projects": projects})


def loaded(
    *issues: BoardIssueOut, closed: int = 0, query: dict[str, str] | None = None
) -> IssueBoardState:
    state = IssueBoardState(BoardFilter.from_query(query or {}))
    state.load(a_board(*issues, closed=closed))
    return state


def names(state: IssueBoardState, group: IssueState = IssueState.READY) -> list[str]:
    """Return the issues of a column."""
    return [f"{one.project_id}#{one.number}" for one in state.column(group).rows]


def groups(state: IssueBoardState) -> list[tuple[str, int, int, bool]]:
    """Return each group's state, its rows that are shown, its count, and if it is folded."""
    return [(one.state.value, len(one.rows), one.count, one.is_folded) for one in state.groups()]


SHOP = (
    an_issue("shop#1", priority="urgent"),
    an_issue("shop#2", labels=["bug"], title="Refuse coupons"),
    an_issue("bank#1", "review"),
    an_issue("bank#9", "attention"),
    an_issue("bank#7", "done"),
)


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ({}, ["attention", "ready", "review", "done"]),
        ({"project": "shop"}, ["ready"]),
        ({"state": "review"}, ["review"]),
        ({"state": "odd"}, ["attention", "ready", "review", "done"]),
        ({"label": "bug"}, ["ready"]),
        ({"q": "COUPON"}, ["ready"]),
        ({"q": "#7"}, ["done"]),
        ({"q": "nothing"}, []),
    ],
)
def test_the_address_says_what_is_shown(query: dict[str, str], shown: list[str]) -> None:
    assert [one.state.value for one in loaded(*SHOP, query=query).groups()] == shown


def test_the_address_keeps_what_is_not_a_filter() -> None:
    query = {"tab": "Issues", "q": "tax", "view": "board", "project": "shop"}
    chosen = BoardFilter.from_query(query)
    assert chosen.query_of(query, is_one=False) == "tab=Issues&project=shop&q=tax&view=board"
    assert chosen.query_of(query, is_one=True) == "tab=Issues&q=tax&view=board"
    assert BoardFilter().query_of({}, is_one=False) == ""


def test_long_groups_and_those_that_wait_for_nobody_fold() -> None:
    many = [an_issue(f"shop#{number}") for number in range(1, 31)]
    state = loaded(*many, an_issue("shop#99", "done"), closed=218)
    assert groups(state) == [("ready", 20, 30, False), ("done", 1, 218, True)]
    state.show_all(IssueState.READY)
    state.fold(IssueState.DONE)
    assert groups(state) == [("ready", 30, 30, False), ("done", 1, 218, False)]
    state.fold(IssueState.READY)
    state.choose(q="t")
    assert groups(state) == [("ready", 30, 30, True), ("done", 1, 1, False)]


def test_an_answer_about_one_project_leaves_the_others() -> None:
    state = loaded(*SHOP)
    state.load(a_board(an_issue("shop#2")), ["shop"])
    assert names(state) == ["shop#2"]
    assert names(state, IssueState.REVIEW) == ["bank#1"]
    state.load(a_board(), ["shop"])
    assert (names(state), sorted(state.projects)) == ([], ["bank"])


async def test_a_dropped_card_stands_there_at_once_and_goes_back_where_it_is_refused() -> None:
    state = loaded(*(an_issue(f"shop#{number}") for number in (1, 2, 3)))
    seen: list[list[str]] = []
    sent: list[Drop] = []

    async def refuse(drop: Drop) -> None:
        sent.append(drop)
        seen.append(names(state))
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        await state.move("shop:3", 0, refuse, lambda: None)
    assert sent == [Drop("normal", before=1)]
    assert seen == [["shop#3", "shop#1", "shop#2"]]
    assert names(state) == ["shop#1", "shop#2", "shop#3"]

    async def take(_: Drop) -> None:
        seen.append(names(state))
        # the answer that the page asks for has the new order
        state.load(
            a_board(*(an_issue(f"shop#{n}", rank=r) for n, r in ((2, 1), (1, 2), (3, None))))
        )

    assert await state.move("shop:1", 1, take, lambda: None)
    assert seen[1:] == [["shop#2", "shop#1", "shop#3"]]
    assert names(state) == ["shop#2", "shop#1", "shop#3"]
    assert not await state.move("shop:1", 1, take, lambda: None)
    assert not await state.move("shop:77", 0, take, lambda: None)


async def test_a_started_issue_runs_at_once_and_is_ready_again_where_that_is_refused() -> None:
    state = loaded(an_issue("shop#1"), an_issue("shop#2", updated_at=NOON + timedelta(1)))
    issue = state.get("shop:1")
    assert issue is not None

    async def refuse() -> None:
        assert names(state, IssueState.RUNNING) == ["shop#1"]
        assert state.word_of(issue) == "Starting…"
        assert state.drop("shop:1", 1) is None
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        await state.start(issue, refuse, lambda: None)
    assert (names(state), names(state, IssueState.RUNNING)) == (["shop#1", "shop#2"], [])


def test_each_press_is_one_change_that_loses_nobodys_labels() -> None:
    known = {"title": "t", "body": "", "state": "open", "claimable": True}
    plain = IssueOut.model_validate({"number": 3, "labels": ["bug"], "ready": False} | known)
    ready = IssueOut.model_validate(
        {"number": 1, "labels": ["ready-for-agent"], "ready": True} | known
    )
    assert toggled_ready(plain) == labelled(plain, ["bug", "ready-for-agent"])
    assert toggled_ready(ready) == {"labels": [], "was": {"labels": ["ready-for-agent"]}}
    closed = plain.model_copy(update={"state": "closed"})
    assert (turned(plain), turned(closed)) == ({"state": "closed"}, {"state": "open"})


def test_a_step_is_taken_from_where_a_card_stands_now() -> None:
    state = loaded(
        *(an_issue(f"shop#{number}") for number in (1, 2, 3)), an_issue("shop#4", "done")
    )
    steps = [("shop:1", -1), ("shop:1", 1), ("shop:3", -1), ("shop:3", 1), ("shop:4", -1)]
    assert [state.place_beside(key, step) for key, step in steps] == [None, 1, 1, None, None]
