"""Projects and their tracker: strikes counted in SQL, numbers shared by issues and changes."""

from __future__ import annotations

import threading

import pytest

from app.records.feed import Change, ProjectChanged
from app.records.project_ledger import NameInUse, ProjectLedger
from app.records.routing import Stores
from app.records.tracker_ledger import TrackerLedger
from tests.records.samples import NOW, draft_change, draft_project


@pytest.fixture
def projects(stores: Stores) -> ProjectLedger:
    """The projects, one of them there."""
    ledger = ProjectLedger(stores)
    ledger.insert(draft_project())
    return ledger


@pytest.fixture
def tracker(stores: Stores, projects: ProjectLedger) -> TrackerLedger:
    """The tracker of that project."""
    return TrackerLedger(stores)


def strikes(projects: ProjectLedger) -> int:
    found = projects.find("proj_1")
    assert found is not None
    return found.strikes


def test_a_name_is_refused_twice(projects: ProjectLedger) -> None:
    with pytest.raises(NameInUse):
        projects.insert(draft_project(id="proj_2"))
    projects.insert(draft_project(id="proj_2", name="two"))
    with pytest.raises(NameInUse):
        projects.change("proj_2", name="one")
    assert [one.name for one in projects.all()] == ["one", "two"]


def test_a_change_of_a_project_that_is_not_there_changes_nothing(projects: ProjectLedger) -> None:
    assert projects.change("proj_9", name="x") is None
    assert projects.find("proj_9") is None
    assert projects.find_named("x") is None


def test_f13_strikes_added_at_once_are_all_counted(projects: ProjectLedger) -> None:
    start = threading.Barrier(8)

    def add() -> None:
        start.wait()
        with projects.stores.control.transaction() as tx:
            projects.add_strike(tx, "proj_1", "agent exited 1")

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert strikes(projects) == 8
    with projects.stores.control.transaction() as tx:
        projects.clear_strikes(tx, "proj_1")
    assert strikes(projects) == 0


def test_a_strike_that_is_rolled_back_is_none(projects: ProjectLedger, told: list[Change]) -> None:
    told.clear()

    def add_and_fail() -> None:
        with projects.stores.control.transaction() as tx:
            projects.add_strike(tx, "proj_1", "agent exited 1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        add_and_fail()
    assert strikes(projects) == 0
    assert told == []


def test_issues_and_changes_share_their_numbers(tracker: TrackerLedger) -> None:
    issue = tracker.add_issue("proj_1", title="t", body="", labels=[], now=NOW)
    change = tracker.open_change(**draft_change())
    later = tracker.add_issue("proj_1", title="t", body="", labels=["x"], now=NOW)
    assert [issue.number, change.number, later.number] == [1, 2, 3]
    assert [one.number for one in tracker.issues("proj_1")] == [1, 3]
    assert tracker.issue("proj_1", 2) is None
    assert tracker.change("proj_1", 2) == change


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


def test_an_issue_is_edited_where_there_is_one(tracker: TrackerLedger) -> None:
    issue = tracker.add_issue("proj_1", title="t", body="", labels=[], now=NOW)
    changed = tracker.change_issue("proj_1", issue.number, title="new", labels=["a", "b"])
    assert changed is not None
    assert (changed.title, changed.labels) == ("new", ["a", "b"])
    assert tracker.change_issue("proj_1", 99, title="x") is None
    assert tracker.change_issue("proj_9", issue.number, title="x") is None
