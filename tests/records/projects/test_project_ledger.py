"""Projects: unique names, and strikes counted in SQL."""

from __future__ import annotations

import threading

import pytest

from app.records.feed import Change
from app.records.projects.project_ledger import NameInUse, ProjectLedger
from app.records.stores.routing import Stores
from tests.builders.rows import draft_project


@pytest.fixture
def projects(stores: Stores) -> ProjectLedger:
    """Project ledger with one project."""
    ledger = ProjectLedger(stores)
    ledger.insert(draft_project())
    return ledger


def strikes(projects: ProjectLedger) -> int:
    found = projects.find("proj_1")
    assert found is not None
    return found.strikes


@pytest.mark.both_databases
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


@pytest.mark.both_databases
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
