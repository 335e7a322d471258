"""Agents at `none` that act against the machinery around them, as a person sees them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.adapters.engine import launch
from tests.agents_for_tests.runs import is_living
from tests.attacks import hostile_agents
from tests.planes import RealPlane, real_plane


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RealPlane]:
    with real_plane(tmp_path) as plane:
        yield plane


@pytest.mark.parametrize(
    "agent", [hostile_agents.KILLS_ITS_SUPERVISOR, hostile_agents.FORGES_ITS_END]
)
def test_an_agent_that_kills_its_supervisor_and_leaves_a_daemon_keeps_its_slot_unproved(
    plane: RealPlane, agent: str
) -> None:
    run = plane.start_running(plane.add_project(agent.format(seconds=4321)))
    plane.ears.wait_for(run.id, "gone")
    daemon = int((plane.copy(run) / "daemon").read_text())
    try:
        plane.reap(run)
        for _ in range(2):
            plane.tick()
        run = plane.run(run.id)
        assert (run.status, run.cause, run.released_at) == ("died", "session_gone", None)
        assert run.hold == "Couldn't confirm that its processes have exited"
        assert is_living(daemon)
    finally:
        os.kill(daemon, signal.SIGKILL)


def test_an_agent_that_stops_its_supervisor_times_out_all_the_same(plane: RealPlane) -> None:
    project = plane.add_project(hostile_agents.STOPS_ITS_SUPERVISOR)
    run = plane.start_running(project)
    # its log stands still with its supervisor
    plane.wait((plane.copy(run) / "stopped").exists, "the agent has stopped its supervisor")
    kept = plane.run(run.id).supervisor
    assert kept
    # its budget, its grace and 30 seconds have passed by the clock that nobody sets
    late = {**kept, "until": kept["until"] - run.budget_seconds - 60}
    plane.ledgers.runs.note(run.id, run.project_id, supervisor=late)
    run = plane.reap(run)
    assert (run.status, run.cause) == ("timed_out", "budget")
    run = plane.see_end(run)
    assert run.released_at is not None
    assert not plane.adapters.engine.owned()


def test_a_set_up_that_stops_its_supervisor_for_good_ends_as_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "_START_SECONDS", 1.0)
    with real_plane(tmp_path, launch_seconds=4) as plane:
        again = ["/bin/sh", "-c", "while :; do kill -STOP $PPID; done"]
        run = plane.launch(plane.add_project("exit 0", setup_command=again))
        assert (run.status, run.cause) == ("not_started", "launch_failed")
        assert run.released_at is not None, run.hold
        assert not plane.adapters.engine.owned()


@pytest.mark.parametrize("forgery", ["exit", "gone", "started"])
def test_a_record_that_an_agent_changes_is_told_of_once(plane: RealPlane, forgery: str) -> None:
    fields = '{"code": 0, "signal": null, "reason": "exited", "at": "2026-01-01T00:00:00.000Z"}'
    by_hand = f"""echo '{fields}' > "$(dirname "$RUNYARD_PROMPT_FILE")/{forgery}"; echo written"""
    another = hostile_agents.NAMES_ANOTHER_PROCESS.format(pid=os.getpid())
    agent = another if forgery == "started" else f"{by_hand}; sleep 600"
    run = plane.start_running(plane.add_project(agent))
    plane.ears.wait_for_text(run.id, b"written")
    assert plane.reap(run).status == "running"
    plane.reap(run)
    plane.stop_run(run)
    run = plane.see_end(run)
    assert run.released_at is not None
    told = "a record of its processes was changed while the run was going, and is not believed"
    assert [line.sentence for line in plane.ledgers.runs.timeline(run.id)].count(told) == 1


def test_a_run_whose_records_nobody_changed_says_nothing_of_them(plane: RealPlane) -> None:
    run = plane.finish(plane.add_project("exit 3"))
    told = [line.sentence for line in plane.ledgers.runs.timeline(run.id)]
    assert not [sentence for sentence in told if "record" in sentence]


def test_a_record_that_names_another_process_aims_no_signal_at_it(plane: RealPlane) -> None:
    with subprocess.Popen(["/bin/sleep", "600"]) as stranger:
        agent = hostile_agents.NAMES_ANOTHER_PROCESS.format(pid=stranger.pid)
        run = plane.start_running(plane.add_project(agent))
        plane.ears.wait_for_text(run.id, b"written")
        plane.stop_run(run)
        run = plane.see_end(run)
        assert run.released_at is not None
        assert stranger.poll() is None
        stranger.kill()
    assert not plane.adapters.engine.owned()


def test_a_record_that_names_the_server_does_not_end_it(plane: RealPlane) -> None:
    agent = hostile_agents.NAMES_ANOTHER_PROCESS.format(pid=os.getpid())
    run = plane.start_running(plane.add_project(agent))
    plane.ears.wait_for_text(run.id, b"written")
    plane.stop_run(run)
    assert plane.see_end(run).released_at is not None
