"""Parked work in the tables: one run per branch, found by index, never while in use."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from app.records.database.database import Database
from app.records.feed import Change, ProjectChanged, RunChanged
from app.records.people.audit_ledger import Deed
from app.records.runs.parked_ledger import ParkedLedger
from app.records.runs.run_ledger import RunLedger
from app.records.tables import Audit, Run
from tests.builders.databases import SQLITE
from tests.builders.rows import NOW, add_run, run_id, stores_on
from tests.drivers.query_plans import explained

DEED = Deed("person_1", "discard", "discarded", "c")
ENDED = {"status": "died", "ended_at": NOW, "released_at": NOW}


@pytest.fixture
def parked(ledger: RunLedger) -> ParkedLedger:
    return ParkedLedger(ledger)


def keep(ledger: RunLedger, branch: str, minutes: int = 0, **columns: Any) -> Run:
    """Add a released run with parked work."""
    at = NOW + timedelta(minutes=minutes)
    given = ENDED | {"work_branch": branch, "parked": True, "created_at": at} | columns
    return add_run(ledger, **given)


def audited(ledger: RunLedger) -> list[str]:
    with ledger.stores.control.reading() as session:
        return [after["because"] for after in session.exec(select(Audit.after)) if after]


@pytest.mark.both_databases
def test_the_newest_run_of_a_branch_stands_for_it(ledger: RunLedger, parked: ParkedLedger) -> None:
    older = keep(ledger, "afk/1", 0)
    newer = keep(ledger, "afk/1", 2)
    other = keep(ledger, "afk/2", 1)
    keep(ledger, "afk/3", parked=False)
    assert [run.id for run in parked.all()] == [other.id, newer.id]
    assert [run.id for run in parked.of_branch("proj_1", "afk/1")] == [older.id, newer.id]
    assert parked.counts(["proj_1", "proj_2"]) == {"proj_1": 2}


def test_a_branch_in_use_is_not_parked(ledger: RunLedger, parked: ParkedLedger) -> None:
    kept = keep(ledger, "afk/1")
    add_run(ledger, work_branch="afk/1", status="running")
    assert parked.all() == []
    assert parked.counts(["proj_1"])["proj_1"] == 0
    assert [run.id for run in parked.of_branch("proj_1", "afk/1")] == [kept.id]


def test_branches_of_one_name_in_two_projects_are_two(
    ledger: RunLedger, parked: ParkedLedger
) -> None:
    keep(ledger, "afk/1")
    theirs = keep(ledger, "afk/1", 1, project_id="proj_2")
    add_run(ledger, work_branch="afk/1", status="running")
    assert [run.id for run in parked.all()] == [theirs.id]
    assert parked.counts(["proj_2"])["proj_2"] == 1


@pytest.mark.both_databases
def test_what_is_written_is_told_and_audited(
    ledger: RunLedger, parked: ParkedLedger, told: list[Change]
) -> None:
    run = keep(ledger, "afk/1")
    told.clear()
    parked.write([run], DEED, NOW, kind="note", parked=False)
    assert parked.all() == []
    assert {RunChanged(run.id, "proj_1"), ProjectChanged("proj_1")} <= set(told)
    assert ledger.timeline(run.id)[-1].sentence == "discarded"
    assert audited(ledger) == ["discarded"]


def test_only_an_ended_run_that_is_not_released_is_given_up(
    ledger: RunLedger, parked: ParkedLedger
) -> None:
    ended = keep(ledger, "afk/1", released_at=None, parked=False, hold="not proved")
    live = add_run(ledger, work_branch="afk/2", status="running")
    assert parked.give_up(ended, DEED, NOW, parked=True)
    assert not parked.give_up(ended, DEED, NOW, parked=True)
    assert not parked.give_up(live, DEED, NOW, parked=True)
    assert [(run.work_branch, run.hold) for run in parked.all()] == [("afk/1", None)]
    assert audited(ledger) == ["discarded"]


@pytest.mark.both_databases
def test_runs_of_both_stores_are_one_list(
    open_database: Callable[[str], Database],
) -> None:
    stores = stores_on(open_database("control.db"), open_database("runs.db"))
    ledger = RunLedger(stores)
    parked = ParkedLedger(ledger)
    keep(ledger, "afk/1", id=run_id())
    split = keep(ledger, "afk/1", 1, id=run_id(split=True))
    keep(ledger, "afk/2", 2, id=run_id(split=True))
    assert [run.work_branch for run in parked.all()] == ["afk/1", "afk/2"]
    assert parked.all()[0].id == split.id
    assert parked.counts(["proj_1"])["proj_1"] == 2


@pytest.mark.parametrize("kind", [SQLITE], indirect=True)
def test_parked_branches_are_counted_by_their_index(
    ledger: RunLedger, parked: ParkedLedger, database: Database
) -> None:
    keep(ledger, "afk/1")
    plans = explained(database, lambda: parked.counts(["proj_1", "proj_2"]))
    assert any("parked_runs" in plan for plan in plans), plans
