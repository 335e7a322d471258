"""Issues of all projects: each one's state, what happens next, and how many there are."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event

from app.domain.tracker.issue_states import IssueState
from app.domain.words import Cause
from app.services.review.issue_board import Board, Wanted
from tests.fakes.planes import TwinPlane


def look(twin: TwinPlane, wanted: Wanted | None = None) -> Board:
    return twin.services.issue_board.look(wanted or Wanted(), limit=2000)


def told(board: Board) -> list[tuple[str, int, str, str]]:
    """Return project, number, state and sentence of every issue, in the board's order."""
    return [
        (one.project_name, one.number, one.standing.state.value, one.standing.next)
        for one in board.issues
    ]


def test_the_issues_of_all_projects_stand_in_the_order_of_a_persons_work(twin: TwinPlane) -> None:
    shop = twin.add_project(name="shop")
    bank = twin.add_project(name="bank")
    for title in ("Deliver", "First", "Second", "Waits", "Runs", "Ended", "Done"):
        twin.add_issue(shop, title, "## Blocked by\n#1" if title == "Waits" else "")
    twin.add_issue(bank, "Lonely")
    issues = twin.services.issues
    issues.change(shop.id, 3, {"priority": "high"}, twin.clock())
    issues.change(shop.id, 7, {"state": "closed"}, twin.clock())
    delivered = twin.finish(shop, issue=1)
    ended = twin.finish(shop, issue=6)
    twin.services.changes.close(shop.id, 9, twin.clock())
    twin.ledgers.runs.update_fields(
        ended.id, shop.id, delivery=None, cause=Cause.EXIT_CODE, because="agent exited with code 1"
    )
    running = twin.start_running(shop, issue=5)
    twin.ledgers.projects.change(shop.id, auto_enabled=True)
    board = look(twin)
    assert told(board) == [
        ("shop", 6, "attention", "Agent exited with code 1"),
        ("shop", 5, "running", "Working, 00:00 of 2 h"),
        ("shop", 3, "ready", "Next in shop"),
        ("bank", 1, "ready", "Auto is off"),
        ("shop", 2, "ready", "2nd in shop"),
        ("shop", 4, "waiting", "Blocked by #1, in review"),
        ("shop", 1, "review", "Change #8 waits for a review"),
        ("shop", 7, "done", "Closed"),
    ]
    assert {state.value: count for state, count in board.counts.items()} == {
        "attention": 1,
        "running": 1,
        "ready": 3,
        "waiting": 1,
        "review": 1,
        "done": 1,
    }
    by_number = {one.number: one for one in board.issues if one.project_name == "shop"}
    assert by_number[5].run_id == running.id
    assert (by_number[1].change, by_number[1].run_id) == (8, delivered.id)
    assert by_number[1].size is not None
    assert (by_number[1].size.additions, by_number[1].size.deletions) == (1, 0)
    twin.services.changes.merge(shop.id, 8, twin.clock())
    assert ("shop", 1, "done", "Merged with #8") in told(look(twin))
    assert ("shop", 4, "ready", "3rd in shop") in told(look(twin))


def test_issues_of_an_archived_project_are_read_where_it_is_named(twin: TwinPlane) -> None:
    project = next(one for one in twin.ledgers.projects.all() if one.name == "archived")
    assert look(twin).issues == []
    [issue] = look(twin, Wanted(project_ids=(project.id,))).issues
    assert (issue.standing.next, issue.standing.may_run) == ("Project is archived", False)


def test_a_filter_narrows_issues_and_counts(twin: TwinPlane) -> None:
    shop, bank = twin.add_project(name="shop"), twin.add_project(name="bank")
    for project, title in ((shop, "Refuse coupons"), (shop, "Print receipts"), (bank, "Export")):
        twin.add_issue(project, title)
    issues = twin.services.issues
    issues.change(shop.id, 2, {"labels": ["bug"], "state": "closed"}, twin.clock())

    def numbers(**parts: Any) -> list[tuple[str, int]]:
        return [(one.project_name, one.number) for one in look(twin, Wanted(**parts)).issues]

    assert numbers(project_ids=(bank.id,)) == [("bank", 1)]
    assert numbers(states=(IssueState.DONE,)) == [("shop", 2)]
    assert numbers(labels=("bug",)) == [("shop", 2)]
    assert numbers(text="coupons") == [("shop", 1)]
    assert numbers(text="#1") == [("bank", 1), ("shop", 1)]
    assert numbers(text="BANK") == [("bank", 1)]
    assert look(twin, Wanted(labels=("bug",))).counts == {IssueState.DONE: 1}


def test_closed_issues_are_counted_and_only_the_newest_are_read(twin: TwinPlane) -> None:
    shop = twin.add_project(name="shop")
    for number in range(1, 54):
        twin.add_issue(shop, f"Issue {number}")
        twin.services.issues.change(shop.id, number, {"state": "closed"}, twin.clock())
    board = look(twin)
    assert (len(board.issues), board.counts[IssueState.DONE]) == (50, 53)
    assert len(twin.services.issue_board.look(Wanted(), limit=2000, closed=100).issues) == 53
    assert [(one.open, one.closed) for one in board.projects] == [(0, 53)]
    found = look(twin, Wanted(text="#2"))
    assert ([one.number for one in found.issues], found.counts) == ([2], {IssueState.DONE: 1})


def test_issues_that_are_kept_elsewhere_are_unknown_and_not_counted_as_none(
    twin: TwinPlane,
) -> None:
    away = twin.add_project(name="away", tracker="forgejo")
    board = look(twin)
    assert board.issues == []
    [project] = board.projects
    assert (project.project_id, project.open, project.closed) == (away.id, None, None)
    assert project.because == (
        "Its issues are kept elsewhere, and Runyard does not read that tracker yet."
    )


def test_a_thousand_issues_take_as_many_statements_as_one(twin: TwinPlane) -> None:
    statements: list[str] = []

    def count(*args: object) -> None:
        statements.append(str(args[2]))

    shop = twin.add_project(name="shop")
    twin.add_issue(shop, "One")
    look(twin)
    engine = twin.stores.control.engine
    event.listen(engine, "before_cursor_execute", count)
    look(twin)
    of_one = len(statements)
    for number in range(2, 40):
        twin.add_issue(shop, f"Issue {number}", "Blocked by #1")
    look(twin)
    statements.clear()
    look(twin)
    event.remove(engine, "before_cursor_execute", count)
    assert len(statements) == of_one


@pytest.fixture(autouse=True)
def _no_archived(twin: TwinPlane) -> None:
    """Have an archived project beside the others: none of its issues is on the board."""
    archived = twin.add_project(name="archived")
    twin.add_issue(archived, "Forgotten")
    twin.services.projects.archive(archived.id, twin.clock())
