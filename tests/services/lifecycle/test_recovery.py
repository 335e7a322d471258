"""Startup recovery takes over an earlier server's runs in order; no failing step stops it."""

from __future__ import annotations

import psutil
import pytest

from app.records.tables import Run
from tests.builders.poison import unreadable
from tests.drivers.planes import RealPlane
from tests.fakes.agents.runs import order, script
from tests.fakes.planes import TwinPlane


@pytest.mark.expects_error_log
def test_a_run_that_cannot_be_taken_over_stops_no_other(plane: RealPlane) -> None:
    one, other = plane.add_project("exit 1"), plane.add_project("exit 1")
    broken, sound = plane.start_running(one), plane.start_running(other)
    for run in (broken, sound):
        plane.ears.wait_for(run.id, "gone")
    with unreadable(plane, one):
        assert plane.recover_once() == 2
        plane.rest()
    assert plane.run(broken.id).status == "running"
    assert plane.run(sound.id).status == "died"


def test_processes_of_no_open_run_are_ended_at_a_start(plane: RealPlane) -> None:
    engine = plane.adapters.engine
    engine.launch(order("run_nobodys", plane.folder, script("stubborn")), lambda kept: None)
    assert engine.owned() == {"run_nobodys"}
    assert plane.recover_once() == 0
    assert engine.owned() == set()


def test_a_waiting_run_is_no_business_of_a_start(twin: TwinPlane) -> None:
    run = twin.launch(twin.add_project(), delay_seconds=60)
    assert twin.recover_once() == 0
    assert twin.run(run.id) == run


def test_what_killed_calls_left_is_deleted_at_a_start(plane: RealPlane) -> None:
    run = plane.finish(plane.add_project())
    copies, looks = plane.copy(run).parent, plane.settings.runs_root / "looks"
    left = [copies / f".{run.id}.0123456789ab", looks / f"{run.id}.git"]
    stranger = looks / "run_of_another_database.git"
    for folder in (*left, stranger):
        folder.mkdir()
    plane.recover_once()
    assert not any(folder.exists() for folder in left)
    assert stranger.exists()


def test_an_agent_that_vanished_before_its_pid_was_stored_has_lost_its_session(
    plane: RealPlane,
) -> None:
    run = plane.start_running_issue(plane.add_project("sleep 60"))
    with plane.ledgers.runs.stores.owner_of(run.id).transaction() as tx:
        row = tx.get_one(Run, run.id)
        row.status, row.pid = "starting", None
    # agent and supervisor die together, so no exit is recorded
    supervisor = psutil.Process(run.pid)
    for process in (supervisor, *supervisor.children(recursive=True)):
        process.kill()
    psutil.wait_procs([supervisor], timeout=10)
    plane.recover_once()
    plane.rest()
    run = plane.run(run.id)
    assert (run.status, run.cause, run.is_strike) == ("died", "session_gone", False)
    assert plane.project(run.project_id).strikes == 0
