"""Runs shown on project cards: one index scan per project, one statement for all projects."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from app.records.database.cursors import Listed
from app.records.database.database import Database
from app.records.runs import selections
from app.records.runs.run_ledger import RunLedger
from app.records.runs.selections import ProjectRuns
from tests.builders.databases import SQLITE
from tests.builders.rows import NOW, add_run, run_id, stores_on
from tests.drivers.query_plans import explained, statements_of

PROJECTS = [f"proj_{number}" for number in range(5)]
ENDED = {"status": "died", "ended_at": NOW, "released_at": NOW}


def leave_runs(ledger: RunLedger, *, split: bool = False) -> None:
    """Give project number n exactly n ended runs, alternating strikes, interleaved in time."""
    for turn in range(len(PROJECTS)):
        for number, project_id in enumerate(PROJECTS):
            at = NOW + timedelta(seconds=10 * turn + number)
            if turn < number:
                add_run(
                    ledger,
                    **ENDED | {"ended_at": at, "is_strike": turn % 2 == 1},
                    id=run_id(at, split=split and turn % 2 == 0),
                    created_at=at,
                    project_id=project_id,
                    work_branch=f"run/{project_id}-{turn}",
                )


def check(ledger: RunLedger, runs: ProjectRuns, limit: int) -> None:
    newest = runs.newest(PROJECTS, limit=limit)
    assert list(newest) == PROJECTS
    for project_id, found in newest.items():
        assert ids_of(found) == ids_of(ledger.newest_of(project_id, limit=limit))
    strikes = runs.strikes(dict.fromkeys(PROJECTS, limit))
    for project_id, found in strikes.items():
        counted = [one for one in ledger.newest_of(project_id, limit=99) if one.is_strike]
        assert ids_of(found) == ids_of(counted[:limit])


def ids_of(runs: Sequence[Listed]) -> list[str]:
    return [run.id for run in runs]


@pytest.mark.parametrize("limit", [1, 2, 9])
@pytest.mark.parametrize("together", [1, 3, 100])
@pytest.mark.both_databases
def test_of_each_project_it_is_what_one_walk_finds(
    ledger: RunLedger, limit: int, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selections, "TOGETHER", together)
    leave_runs(ledger)
    check(ledger, ProjectRuns(ledger.stores), limit)


@pytest.mark.both_databases
def test_runs_of_both_stores_are_one_list(open_database: Callable[[str], Database]) -> None:
    ledger = RunLedger(stores_on(open_database("control.db"), open_database("runs.db")))
    leave_runs(ledger, split=True)
    for limit in (1, 2, 9):
        check(ledger, ProjectRuns(ledger.stores), limit)


def leave_open_runs(ledger: RunLedger, *, split: bool = False) -> None:
    """Give each of two projects waiting, started and released runs."""
    told: list[dict[str, Any]] = [
        {"status": "queued", "agent": "codex", "issue": 4},
        {"status": "delayed", "agent": "amp", "hold": "late", "due_at": NOW},
        {"status": "queued", "agent": "codex", "hold": "full"},
        {"status": "running", "agent": "script", "issue": 3},
        {"status": "died", "agent": "script", "ended_at": NOW},
        {"status": "queued", "agent": "codex", "issue": 4},
        {**ENDED, "agent": "gemini", "issue": 5},
    ]
    for project_id in PROJECTS[:2]:
        for number, columns in enumerate(told):
            at = NOW + timedelta(seconds=number)
            made = {"id": run_id(at, split=split and number % 2 == 0), "created_at": at}
            branch = f"run/{project_id}-{number}"
            add_run(ledger, **made | columns, project_id=project_id, work_branch=branch)


ASKED = {one: [3, 4, 5, 6] for one in PROJECTS}
AGENTS = ("amp", "codex", "gemini", "script")


def check_open(ledger: RunLedger) -> None:
    runs = ProjectRuns(ledger.stores)
    begun, busy = runs.begun(PROJECTS), PROJECTS[:2]
    assert list(begun) == PROJECTS
    assert runs.first_holds(PROJECTS) == dict.fromkeys(busy, "late")
    assert runs.waiting_agents(PROJECTS, AGENTS) == {
        one: {"amp", "codex"} if one in busy else set() for one in PROJECTS
    }
    for one in PROJECTS:
        mine = [run for run in ledger.open_runs(one) if run.status in ("running", "died")]
        assert begun[one] == mine
    assert runs.issues(ASKED) == {one: {3, 4} for one in busy}
    assert runs.issues({PROJECTS[0]: [4], PROJECTS[4]: [5]}) == {PROJECTS[0]: {4}}
    assert len(begun[PROJECTS[0]]) == 2


@pytest.mark.parametrize("few", [1, 500])
@pytest.mark.parametrize("together", [1, 3, 100])
@pytest.mark.both_databases
def test_of_what_is_open_it_is_told_what_a_card_shows(
    ledger: RunLedger, few: int, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selections, "TOGETHER", together)
    leave_open_runs(ledger)
    check_open(ledger)
    monkeypatch.setattr(selections, "FEW", few)
    assert ProjectRuns(ledger.stores).issues(ASKED) == {one: {3, 4} for one in PROJECTS[:2]}


@pytest.mark.both_databases
def test_what_is_open_in_both_stores_is_told_as_of_one(
    open_database: Callable[[str], Database],
) -> None:
    ledger = RunLedger(stores_on(open_database("control.db"), open_database("runs.db")))
    leave_open_runs(ledger, split=True)
    runs = ProjectRuns(ledger.stores)
    assert runs.first_holds(PROJECTS) == dict.fromkeys(PROJECTS[:2], "late")
    assert runs.waiting_agents(["proj_0"], AGENTS) == {"proj_0": {"amp", "codex"}}
    assert [run.status for run in runs.begun(PROJECTS)["proj_1"]] == ["running", "died"]
    assert runs.issues(ASKED) == {one: {3, 4} for one in PROJECTS[:2]}


def test_of_no_project_there_is_nothing(ledger: RunLedger) -> None:
    runs = ProjectRuns(ledger.stores)
    assert runs.newest([], limit=3) == {}
    assert runs.strikes({}) == runs.begun([]) == runs.first_holds([]) == runs.issues({}) == {}
    assert runs.waiting_agents([], AGENTS) == runs.issues({"proj_x": []}) == {}
    assert runs.newest(["proj_x"], limit=3) == {"proj_x": []}


def test_many_projects_take_as_many_statements_as_one(ledger: RunLedger) -> None:
    runs = ProjectRuns(ledger.stores)
    for asked in (PROJECTS, PROJECTS[:1]):
        assert len(statements_of(lambda of=asked: runs.newest(of, limit=3))) == 1
        for ask in (runs.begun, runs.first_holds):
            assert len(statements_of(partial(ask, asked))) == 1
        assert len(statements_of(lambda of=asked: runs.waiting_agents(of, AGENTS))) == 1
        assert len(statements_of(lambda of=asked: runs.issues({one: [1, 2] for one in of}))) == 1


@pytest.mark.parametrize("kind", [SQLITE], indirect=True)
def test_each_walk_goes_along_an_index(ledger: RunLedger, database: Database) -> None:
    runs = ProjectRuns(ledger.stores)
    newest = explained(database, lambda: runs.newest(PROJECTS, limit=3))
    strikes = explained(database, lambda: runs.strikes(dict.fromkeys(PROJECTS, 3)))
    for plans, index in ((newest, "newest_runs_of_project"), (strikes, "striking_runs")):
        read = [plan for plan in plans if " runs" in plan]
        assert len(read) == len(PROJECTS) + 1
        assert not [plan for plan in read if plan.startswith("SCAN")], plans
        assert sum(index in plan for plan in read) == len(PROJECTS), plans
        # rows with equal times may be sorted, but never all runs of a project
        assert not any(plan == "USE TEMP B-TREE FOR ORDER BY" for plan in plans), plans


@pytest.mark.parametrize("kind", [SQLITE], indirect=True)
def test_what_is_open_is_found_without_looking_at_what_is_over(
    ledger: RunLedger, database: Database
) -> None:
    runs = ProjectRuns(ledger.stores)
    asked: dict[str, tuple[Callable[[], object], str]] = {
        "begun": (partial(runs.begun, PROJECTS), "begun_runs (project_id=?)"),
        "all begun": (ledger.begun_runs, "begun_runs"),
        "holds": (partial(runs.first_holds, PROJECTS[:1]), "held_runs_of_project (project_id=?)"),
        "agents": (
            partial(runs.waiting_agents, PROJECTS[:1], AGENTS[:1]),
            "waiting_runs_of_project_by_agent (project_id=? AND agent=?)",
        ),
        "issues": (
            partial(runs.issues, ASKED),
            "open_runs_of_project_for_issue (project_id=? AND issue=?)",
        ),
        "all issues": (
            partial(runs.issues, {one: range(selections.FEW) for one in PROJECTS}),
            "open_runs_of_project_for_issue (project_id=? AND issue>?)",
        ),
    }
    for name, (ask, index) in asked.items():
        [plan] = [line for line in explained(database, ask) if " runs" in line]
        assert re.search(rf"INDEX \w*{re.escape(index)}", plan), (name, plan)
