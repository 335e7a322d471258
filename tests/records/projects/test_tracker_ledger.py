"""The built-in tracker: numbers shared by issues and changes, conflicting edits, comments."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest

from app.domain.issues import queue_order
from app.domain.words import READY_LABEL
from app.records.database.database import Database
from app.records.feed import Change, ProjectChanged
from app.records.projects.change_ends import closed_since, reopen_closed
from app.records.projects.issue_queue import Beside, NoPlace
from app.records.projects.project_ledger import ProjectLedger
from app.records.projects.tracker_ledger import Overtaken, TrackerLedger
from app.records.stores.routing import Stores
from app.records.tables import IssueComment
from tests.builders.databases import SQLITE
from tests.builders.rows import NOW, draft_change, draft_project
from tests.drivers.query_plans import explained


@pytest.fixture
def tracker(stores: Stores) -> TrackerLedger:
    """The tracker of one project."""
    ProjectLedger(stores).insert(draft_project())
    return TrackerLedger(stores)


@pytest.mark.both_databases
def test_issues_and_changes_share_their_numbers(tracker: TrackerLedger) -> None:
    issue = tracker.add_issue("proj_1", title="t", body="", labels=[], now=NOW)
    change = tracker.open_change(**draft_change())
    later = tracker.add_issue("proj_1", title="t", body="", labels=["x"], now=NOW)
    assert [issue.number, change.number, later.number] == [1, 2, 3]
    assert [one.number for one in tracker.issues("proj_1")] == [1, 3]
    assert tracker.issue("proj_1", 2) is None
    assert tracker.change("proj_1", 2) == change


@pytest.mark.both_databases
def test_a_run_opens_one_change_however_often_it_asks(tracker: TrackerLedger) -> None:
    start, numbers = threading.Barrier(4), []

    def open_change() -> None:
        start.wait()
        numbers.append(tracker.open_change(**draft_change()).number)

    threads = [threading.Thread(target=open_change) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert numbers == [1, 1, 1, 1]
    assert [one.number for one in tracker.changes("proj_1")] == [1]


@pytest.mark.both_databases
def test_a_request_that_its_forge_opened_again_is_open_with_what_a_later_run_delivered(
    tracker: TrackerLedger,
) -> None:
    tracker.open_change(**draft_change(number=7, run_id="run_1"))
    tracker.end_change("proj_1", 7, state="closed", now=NOW, merged_sha=None, because="No.")
    columns = draft_change(number=7, run_id="run_2", head_sha="d" * 40)
    assert tracker.open_change(**columns).number == 7
    (change,) = tracker.changes("proj_1")
    assert (change.state, change.head_sha, change.ended_at) == ("open", "d" * 40, None)
    assert change.closed_because is None


@pytest.mark.both_databases
def test_of_two_requests_of_a_branch_only_one_is_opened_again(
    tracker: TrackerLedger, stores: Stores
) -> None:
    tracker.open_change(**draft_change(number=7, run_id="run_1"))
    tracker.end_change("proj_1", 7, state="closed", now=NOW, merged_sha=None)
    assert closed_since(stores, "proj_1", NOW) == {7}
    assert closed_since(stores, "proj_1", NOW + timedelta(seconds=1)) == set()
    tracker.open_change(**draft_change(number=8, run_id="run_2"))
    assert not reopen_closed(stores, "proj_1", 7)
    tracker.end_change("proj_1", 8, state="merged", now=NOW, merged_sha="c" * 40)
    assert reopen_closed(stores, "proj_1", 7)
    assert closed_since(stores, "proj_1", NOW) == set()
    assert not any(reopen_closed(stores, "proj_1", number) for number in (7, 8, 9))


@pytest.mark.parametrize(("state", "issue_state"), [("merged", "closed"), ("closed", "open")])
def test_a_merged_change_closes_its_issue_once(
    tracker: TrackerLedger, told: list[Change], state: str, issue_state: str
) -> None:
    issue = tracker.add_issue("proj_1", title="t", body="", labels=[], now=NOW)
    change = tracker.open_change(**draft_change(closes=issue.number))
    told.clear()
    ended = tracker.end_change("proj_1", change.number, state=state, now=NOW, merged_sha="c")
    assert ended is not None
    assert (ended.state, ended.ended_at) == (state, NOW)
    assert told == [ProjectChanged("proj_1")]
    again = tracker.end_change("proj_1", change.number, state="closed", now=NOW, merged_sha=None)
    assert again is None
    found = tracker.issue("proj_1", issue.number)
    assert found is not None
    assert found.state == issue_state


LATER = NOW + timedelta(hours=1)


def test_an_issue_is_edited_where_there_is_one(tracker: TrackerLedger) -> None:
    issue = tracker.add_issue("proj_1", title="t", body="", labels=[], now=NOW)
    changed = tracker.change_issue("proj_1", issue.number, NOW, title="new", labels=["a", "b"])
    assert changed is not None
    assert (changed.title, changed.labels) == ("new", ["a", "b"])
    assert tracker.change_issue("proj_1", 99, NOW, title="x") is None
    assert tracker.change_issue("proj_9", issue.number, NOW, title="x") is None


def test_an_issue_is_closed_when_it_was_closed_first(tracker: TrackerLedger) -> None:
    tracker.add_issue("proj_1", title="t", body="", labels=[], now=NOW)
    closings = [("closed", NOW), ("closed", LATER), ("open", LATER), ("closed", LATER)]
    at = [tracker.change_issue("proj_1", 1, when, state=state) for state, when in closings]
    assert [row.closed_at if row else "" for row in at] == [NOW, NOW, None, LATER]


@pytest.mark.parametrize(
    ("was", "is_taken"),
    [
        ({}, True),
        ({"title": "t", "body": "b", "labels": ["x"]}, True),
        ({"title": "T"}, False),
        ({"title": "t", "body": ""}, False),
        ({"labels": []}, False),
        ({"state": "closed"}, False),
    ],
)
def test_an_edit_of_what_stands_there_no_longer_changes_nothing(
    tracker: TrackerLedger, told: list[Change], was: dict[str, Any], is_taken: bool
) -> None:
    before = tracker.add_issue("proj_1", title="t", body="b", labels=["x"], now=NOW)
    told.clear()
    expectation = nullcontext() if is_taken else pytest.raises(Overtaken, match="issue 1 ")
    with expectation:
        tracker.change_issue("proj_1", 1, LATER, was=was, title="new")
    assert (tracker.issue("proj_1", 1) == before) != is_taken
    assert told == [ProjectChanged("proj_1")] * is_taken


@pytest.mark.both_databases
def test_of_two_who_edit_what_they_both_saw_one_is_told(tracker: TrackerLedger) -> None:
    tracker.add_issue("proj_1", title="t", body="", labels=[], now=NOW)
    start, outcomes = threading.Barrier(4), list[str]()

    def edit(title: str) -> None:
        start.wait()
        try:
            tracker.change_issue("proj_1", 1, NOW, was={"title": "t"}, title=title)
            outcomes.append(title)
        except Overtaken as overtaken:
            outcomes.append(f"told of {overtaken.row.title}")

    threads = [threading.Thread(target=edit, args=[f"by {n}"]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    found = tracker.issue("proj_1", 1)
    assert found is not None
    assert sorted(outcomes) == sorted([found.title, *[f"told of {found.title}"] * 3])


def test_comments_are_told_oldest_first_each_to_its_issue(
    tracker: TrackerLedger, told: list[Change]
) -> None:
    for _ in range(2):
        tracker.add_issue("proj_1", title="t", body="", labels=[], now=NOW)
    told.clear()
    for number, body in ((1, "first"), (2, "elsewhere"), (1, "second")):
        said = IssueComment(
            project_id="proj_1", number=number, author="ann", body=body, created_at=NOW
        )
        assert tracker.add_comment(said).id is not None
    assert [one.body for one in tracker.comments("proj_1", 1)] == ["first", "second"]
    assert tracker.comments("proj_1", 3) == []
    assert told == [ProjectChanged("proj_1")] * 3


def ranks_of(tracker: TrackerLedger) -> dict[int, tuple[str, int | None]]:
    """Return priority and rank of every issue, first in the queue first."""
    issues = sorted(tracker.issues("proj_1"), key=queue_order)
    return {one.number: (one.priority, one.rank) for one in issues}


@pytest.mark.both_databases
def test_an_issue_moved_in_the_queue_stands_where_it_was_put(tracker: TrackerLedger) -> None:
    for _ in range(5):
        tracker.add_issue("proj_1", title="t", body="", labels=[], now=NOW)
    tracker.change_issue("proj_1", 4, NOW, place=Beside(2))
    # those that nobody moved need no place: a new issue comes after them, by its number
    order: dict[int, int | None] = {1: 1, 4: 2, 2: None, 3: None, 5: None}
    assert ranks_of(tracker) == {number: ("normal", rank) for number, rank in order.items()}
    tracker.change_issue("proj_1", 1, NOW, place=Beside(5, is_after=True))
    assert list(ranks_of(tracker)) == [4, 2, 3, 5, 1]
    tracker.change_issue("proj_1", 3, NOW, place=Beside(4, is_after=True))
    assert list(ranks_of(tracker)) == [4, 3, 2, 5, 1]
    tracker.change_issue("proj_1", 1, NOW, place=Beside(4))
    assert list(ranks_of(tracker)) == [1, 4, 3, 2, 5]


@pytest.mark.both_databases
def test_an_issue_moved_beside_one_of_another_priority_takes_it(tracker: TrackerLedger) -> None:
    for priority in ("normal", "high", "high", "urgent"):
        tracker.add_issue("proj_1", title="t", body="", labels=[], now=NOW, priority=priority)
    tracker.change_issue("proj_1", 1, NOW, place=Beside(3))
    assert list(ranks_of(tracker).items()) == [
        *[(4, ("urgent", None)), (2, ("high", 1)), (1, ("high", 2)), (3, ("high", None))]
    ]
    moved = tracker.change_issue("proj_1", 1, NOW, priority="low")
    assert moved is not None
    assert (moved.priority, moved.rank) == ("low", None)
    tracker.change_issue("proj_1", 2, NOW, state="closed")
    assert ranks_of(tracker)[2] == ("high", None)


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("number", "place", "columns", "because"),
    [
        (1, Beside(1), {}, "#1 is not another open issue of this project."),
        (1, Beside(9), {}, "#9 is not another open issue of this project."),
        (1, Beside(3), {}, "#3 is not another open issue of this project."),
        (1, Beside(2), {"priority": "high"}, "#2 has the priority low."),
        (3, Beside(1), {}, "#3 is closed, so it has no place in the queue."),
    ],
)
def test_a_place_that_an_issue_cannot_have_is_refused(
    tracker: TrackerLedger, number: int, place: Beside, columns: dict[str, Any], because: str
) -> None:
    for priority in ("normal", "low", "normal"):
        tracker.add_issue("proj_1", title="t", body="", labels=[], now=NOW, priority=priority)
    tracker.change_issue("proj_1", 3, NOW, state="closed")
    before = ranks_of(tracker)
    with pytest.raises(NoPlace, match=re.escape(because)):
        tracker.change_issue("proj_1", number, NOW, place=place, **columns)
    assert ranks_of(tracker) == before


@pytest.mark.both_databases
def test_two_people_who_move_issues_at_once_leave_one_order(tracker: TrackerLedger) -> None:
    for _ in range(6):
        tracker.add_issue("proj_1", title="t", body="", labels=[], now=NOW)
    start = threading.Barrier(4)

    def move(number: int) -> None:
        start.wait()
        tracker.change_issue("proj_1", number, NOW, place=Beside(1))

    threads = [threading.Thread(target=move, args=[number]) for number in (3, 4, 5, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    ranks = [rank for _, rank in ranks_of(tracker).values() if rank is not None]
    assert ranks == [1, 2, 3, 4]
    assert list(ranks_of(tracker))[4:] == [1, 2]


@pytest.mark.parametrize("kind", [SQLITE], indirect=True)
def test_what_is_open_is_found_without_looking_at_what_was_closed(
    tracker: TrackerLedger, database: Database
) -> None:
    asked: dict[str, Callable[[], object]] = {
        "open_issues": lambda: tracker.open_numbers_of(["proj_1", "proj_2"]),
        "one_open_change_per_branch": lambda: tracker.open_changes_of(["proj_1", "proj_2"]),
        "ready": lambda: tracker.ready_of(["proj_1", "proj_2"], READY_LABEL),
        "counts": lambda: tracker.count_open("proj_1"),
    }
    told = {name: explained(database, ask) for name, ask in asked.items()}
    used = {name: re.findall(r"INDEX (\w+)", "\n".join(lines)) for name, lines in told.items()}
    assert used == {
        "open_issues": ["open_issues"],
        "one_open_change_per_branch": ["one_open_change_per_branch"],
        "ready": ["open_issues"],
        "counts": ["open_issues", "one_open_change_per_branch"],
    }, told
