"""Quarantine: five tries, then a person; no other row waits for a failing one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError

from app.control_plane import adapters
from app.errors import ForgeUnavailable, NotFound, PrLock, StoreUnavailable
from app.records.database.database import DatabaseSilent
from app.records.runs.quarantine_ledger import MOST_TRIES
from app.records.tables import Project, Run
from app.services.ports import CannotRead, ForgeSilent, NotTaken, OriginProblem
from app.services.system.quarantine import is_undecided
from tests.builders.databases import run_store
from tests.builders.two_stores import Planes
from tests.builders.unreadable_rows import FAULT, found, keys, poison, start, tick
from tests.fakes.planes import FakePlane
from tests.fakes.world import World

pytestmark = pytest.mark.expects_error_log


@pytest.fixture
def plane(planes: Planes) -> FakePlane:
    return planes()


SILENT = CannotRead("the process table is away")


# --- checks -------------------------------------------------------------------------------------


def test_a_run_that_cannot_be_judged_is_left_to_a_person_after_five_tries(
    plane: FakePlane, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = plane.add_project(world)
    sick, well = start(plane, project), start(plane, project, task="another")
    poisoned = poison(monkeypatch, plane.reaper, "reap_once", sick.id, FAULT)
    tick(plane, MOST_TRIES - 1)
    assert keys(plane) == []
    world.end(well.id, 1)
    tick(plane, 3)
    assert poisoned.tries == MOST_TRIES
    assert found(plane, well).status == "died"
    (held,) = plane.services.quarantine.held(project.id)
    assert (held.duty, held.run_id, held.because) == ("look", sick.id, "KeyError: 'delivery'")
    lines = [one.sentence for one in plane.ledgers.runs.timeline(sick.id)]
    assert [line for line in lines if "5 times" in line] == [
        "not tried again after 5 times: KeyError: 'delivery'"
    ]


def test_what_could_not_be_decided_is_tried_for_ever_and_never_counted(
    plane: FakePlane, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = plane.add_project(world)
    run = start(plane, project)
    poisoned = poison(monkeypatch, plane.reaper, "reap_once", run.id, SILENT)
    tick(plane, 2 * MOST_TRIES)
    assert poisoned.tries == 2 * MOST_TRIES
    assert plane.services.quarantine.known() == []
    poisoned.is_mended = True
    world.end(run.id, 1)
    tick(plane, 1)
    assert found(plane, run).status == "died"


def test_a_success_between_two_failures_begins_the_count_anew(
    plane: FakePlane, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start(plane, plane.add_project(world))
    poisoned = poison(monkeypatch, plane.reaper, "reap_once", run.id, FAULT)
    tick(plane, MOST_TRIES - 1)
    poisoned.is_mended = True
    tick(plane, 1)
    poisoned.is_mended = False
    tick(plane, MOST_TRIES - 1)
    assert keys(plane) == []


def test_a_stop_ends_a_run_that_could_not_be_judged(
    plane: FakePlane, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start(plane, plane.add_project(world))
    poisoned = poison(monkeypatch, plane.reaper, "reap_once", run.id, FAULT)
    tick(plane, MOST_TRIES)
    plane.services.stopper.stop(run.id, "by a person", plane.clock())
    poisoned.is_mended = True
    tick(plane, 2)
    assert found(plane, run).released_at is not None
    assert keys(plane) == []


# --- retries ------------------------------------------------------------------------------------


def test_a_person_lets_a_row_be_tried_again_five_times(
    plane: FakePlane, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start(plane, plane.add_project(world))
    poisoned = poison(monkeypatch, plane.reaper, "reap_once", run.id, FAULT)
    tick(plane, MOST_TRIES + 1)
    plane.services.quarantine.try_again(f"look.{run.id}")
    tick(plane, MOST_TRIES + 1)
    assert poisoned.tries == 2 * MOST_TRIES
    poisoned.is_mended = True
    plane.services.quarantine.try_again(f"look.{run.id}")
    world.end(run.id, 1)
    tick(plane, 1)
    assert (found(plane, run).status, keys(plane)) == ("died", [])
    with pytest.raises(NotFound):
        plane.services.quarantine.try_again(f"look.{run.id}")


@pytest.mark.parametrize(("version", "tries"), [("same", 1), ("newer", MOST_TRIES)])
def test_a_restart_tries_once_more_and_a_new_version_all_five_times(
    plane: FakePlane,
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    tries: int,
) -> None:
    run = start(plane, plane.add_project(world))
    poison(monkeypatch, plane.reaper, "reap_once", run.id, FAULT)
    tick(plane, MOST_TRIES)
    plane.stop()
    if version == "newer":
        monkeypatch.setattr(adapters, "__version__", "99.0")
    heir = FakePlane(tmp_path, world, runs_database_url=run_store(tmp_path))
    poisoned = poison(monkeypatch, heir.reaper, "reap_once", run.id, FAULT)
    heir.recover_once()
    tick(heir, MOST_TRIES + 1)
    assert (poisoned.tries, keys(heir)) == (tries, [f"look.{run.id}"])
    heir.stop()


# --- other rows ---------------------------------------------------------------------------------


def test_a_run_that_cannot_be_started_lets_others_go_first(
    plane: FakePlane, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = plane.add_project(world)
    monkeypatch.setattr(plane.services.sweep._starter, "_max_live_runs", 0)
    sick, well = start(plane, project), start(plane, project, task="another")
    poison(monkeypatch, plane.services.sweep._starter, "_take_slot", sick.id, FAULT)
    monkeypatch.setattr(plane.services.sweep._starter, "_max_live_runs", 3)
    tick(plane, MOST_TRIES)
    assert (found(plane, sick).status, found(plane, well).status) == ("queued", "running")
    assert keys(plane) == [f"start.{sick.id}"]


@pytest.mark.parametrize("others", ["same project", "another project"])
def test_what_a_run_has_led_to_is_held_alone_and_nothing_is_lost_behind_it(
    plane: FakePlane, world: World, monkeypatch: pytest.MonkeyPatch, others: str
) -> None:
    project = plane.add_project(world)
    other = project if others == "same project" else plane.add_project(world)
    sick = start(plane, project, issue=plane.add_issue(project))
    well = start(plane, other, issue=plane.add_issue(other))
    strike = plane.services.outbox._kinds["strike"]

    def strike_but(tx: Any, run: Run, *rest: Any) -> Any:
        if run.id == sick.id:
            raise FAULT
        return strike(tx, run, *rest)

    monkeypatch.setitem(plane.services.outbox._kinds, "strike", strike_but)
    for run in (sick, well):
        world.end(run.id, 1)
        plane.reaper.reap_once(run.id)
    assert strikes(plane, other) == (0 if other.id == project.id else 1)
    tick(plane, MOST_TRIES)
    assert strikes(plane, other) == 1
    (held,) = plane.services.quarantine.held()
    assert (held.duty, held.run_id) == ("outbox", sick.id)

    monkeypatch.setitem(plane.services.outbox._kinds, "strike", strike)
    plane.services.quarantine.try_again(held.key)
    tick(plane, 1)
    assert strikes(plane, project) == (2 if other.id == project.id else 1)
    assert keys(plane) == []


def strikes(plane: FakePlane, project: Project) -> int:
    row = plane.ledgers.projects.find(project.id)
    assert row is not None
    return row.strikes


# --- counting -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem", "is_silence"),
    [
        (DatabaseSilent("away"), True),
        (DatabaseError("", {}, Exception("malformed")), True),
        (CannotRead("no"), True),
        (ForgeSilent("no"), True),
        (OriginProblem("no", for_good=False), True),
        (NotTaken("no"), True),
        (StoreUnavailable("no"), True),
        (ForgeUnavailable("no"), True),
        (PermissionError(13, "no"), True),
        (MemoryError(), True),
        (KeyError("x"), False),
        (ValueError("x"), False),
        (AssertionError(), False),
        (RecursionError(), False),
        (PrLock(holder="a", since=None, branch="b"), False),
        (IntegrityError("", {}, Exception("x")), False),
        (OperationalError("", {}, Exception("x")), True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_a_fault_of_ours_is_counted(problem: Exception, is_silence: bool) -> None:
    assert is_undecided(problem) is is_silence
