"""Feed updates of a runs list, and the lists that show a submit."""

from __future__ import annotations

from typing import Any

import pytest

from app.api.schemas import RunOut, RunsPage
from app.domain.lifecycle import phase_of
from app.domain.words import Phase, Status, Trigger
from app.state.page.submits import Submits
from app.state.runs.run_board import OVERFULL_ROWS, RunBoard, RunFilters, Submitting
from tests.builders.run_samples import run_of, submitting


def board_with(filters: RunFilters, *runs: RunOut, next_cursor: str | None = None) -> RunBoard:
    board = RunBoard(filters)
    board.load(RunsPage(items=list(runs), next_cursor=next_cursor))
    return board


def ids(board: RunBoard) -> list[str]:
    return [row.id for row in board.rows() if isinstance(row, RunOut)]


def test_filters_survive_the_address() -> None:
    filters = RunFilters("proj_a", (Status.DIED, Status.RUNNING), Trigger.AUTO, "greet", "c")
    assert RunFilters.from_query(filters.to_query()) == filters


def test_a_part_of_a_runs_life_in_the_address_is_shown_as_its_states() -> None:
    live = RunFilters.from_query({"phase": "live"})
    assert set(live.status) == {one for one in Status if phase_of(one) is Phase.LIVE}
    assert RunFilters.from_query({"phase": "live", "status": "died,running"}).status == ("running",)
    assert RunFilters.from_query({"phase": "moon"}) == RunFilters()


def test_words_without_meaning_in_the_address_are_left_out() -> None:
    query = {"status": "died,<script>,died", "trigger": "moon", "project": ""}
    assert RunFilters.from_query(query) == RunFilters(status=(Status.DIED,))


@pytest.mark.parametrize(
    ("text", "is_shown"),
    [
        ("", True),
        ("greet", True),
        ("…000007", True),
        ("run_c0", True),
        ("#12", True),
        ("012", True),
        ("run_", True),
        ("Run/Mend", True),
        ("NIGHT", True),
        ("1", False),
        ("mend", False),
        ("000008", False),
    ],
)
def test_a_run_of_the_feed_is_shown_where_it_is_what_is_searched_for(
    text: str, is_shown: bool
) -> None:
    run = run_of(7, title="Say the greeting", issue=12, work_branch="run/mend-it", tags=["nightly"])
    filters = RunFilters().find(f" {text}")
    assert (filters.text, filters.show(run)) == (text, is_shown)


@pytest.mark.parametrize(
    ("columns", "is_shown"),
    [
        ({"issue": 7}, True),
        ({"title": "Continue #7"}, True),
        ({"tags": ["after #7"]}, True),
        ({}, False),
        ({"title": "Use Python 3.7"}, False),
        ({"work_branch": "7-factors"}, False),
        ({"issue": 77}, False),
    ],
)
def test_an_issue_with_its_sign_is_no_other_seven(columns: dict[str, Any], is_shown: bool) -> None:
    usual: dict[str, Any] = {"issue": None, "title": "Say it", "work_branch": "run/x", "tags": []}
    run = run_of(7, **usual | columns)
    assert run.id.endswith("7")
    assert RunFilters(text="#7").show(run) is is_shown


@pytest.mark.parametrize("text", ["None", "run", "r", "²"])
def test_a_run_is_not_meant_by_what_every_run_has(text: str) -> None:
    run = run_of(7, title="Say it", issue=None, work_branch="afk/7")
    assert not RunFilters().find(text).show(run)


def test_a_run_that_no_longer_passes_the_filter_goes() -> None:
    board = board_with(RunFilters(status=(Status.RUNNING,)), run_of(1))
    assert board.apply(run_of(1, Status.SUCCEEDED))
    assert ids(board) == []


def test_an_older_run_stays_on_its_own_page() -> None:
    board = board_with(RunFilters(), run_of(5), run_of(4), next_cursor="more")
    assert not board.apply(run_of(3, Status.STOPPED))
    assert board.apply(run_of(6))
    assert ids(board) == [run_of(6).id, run_of(5).id, run_of(4).id]


def test_a_later_page_changes_its_rows_and_takes_no_new_ones() -> None:
    board = board_with(RunFilters(cursor="c"), run_of(5))
    assert not board.apply(run_of(6))
    assert board.apply(run_of(5, Status.DIED))
    assert ids(board) == [run_of(5).id]


def test_a_long_grown_list_asks_for_a_fresh_page() -> None:
    board = board_with(RunFilters())
    for number in range(OVERFULL_ROWS + 1):
        board.apply(run_of(number))
    assert board.is_overfull


@pytest.mark.parametrize(
    ("filters", "owner", "shown"),
    [
        (RunFilters(), "me", True),
        (RunFilters(project_id="proj_a"), "me", True),
        (RunFilters(project_id="proj_b"), "me", False),
        (RunFilters(trigger=Trigger.AUTO), "me", False),
        (RunFilters(cursor="c"), "me", False),
        (RunFilters(text="greet"), "me", False),
        (RunFilters(), "somebody else", False),
    ],
)
def test_a_submit_is_on_every_list_of_its_own_person_that_it_belongs_to(
    filters: RunFilters, owner: str, shown: bool
) -> None:
    submits, board = Submits(), board_with(filters)
    submits.watch(owner, board, lambda: None)
    submit = submits.begin("me", submitting("k"))
    assert any(isinstance(row, Submitting) for row in board.rows()) is shown
    submit.restore()
    assert board.rows() == []


def test_a_list_opened_during_a_submit_shows_it_and_one_that_closed_is_left_alone() -> None:
    submits, early, late = Submits(), board_with(RunFilters()), board_with(RunFilters())
    changes: list[str] = []
    leave = submits.watch("me", early, lambda: changes.append("early"))
    submit = submits.begin("me", submitting("k"))
    submits.watch("me", late, lambda: changes.append("late"))
    leave()
    submit.confirm(run_of(1))
    assert ids(late) == [run_of(1).id]
    assert changes == ["early", "late", "late"]


def test_a_snapshot_that_was_overtaken_by_the_feed_sets_no_row_back() -> None:
    board = RunBoard(RunFilters())
    with board.recording():
        board.apply(run_of(1, Status.DIED))
        board.apply(run_of(2))
        # a snapshot taken before both updates, received after them
        board.load(RunsPage(items=[run_of(1)]))
    assert [(row.id, row.status) for row in board.rows() if isinstance(row, RunOut)] == [
        (run_of(2).id, "running"),
        (run_of(1).id, "died"),
    ]
