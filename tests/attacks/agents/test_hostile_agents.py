"""Agents at `none` that attack the machinery around them, as a person sees them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.adapters.engine import launch, local
from app.domain.sandbox.levels import SandboxLevel
from tests.drivers.planes import RealPlane, real_plane
from tests.drivers.sandboxes import ONE_USER, Trial, trial_of
from tests.drivers.web.run_pages import page_of
from tests.fakes.agents.runs import is_living
from tests.fakes.hostile_agents import (
    FORGES_ITS_END,
    KILLS_ITS_SUPERVISOR,
    NAMES_ANOTHER_PROCESS,
    STOPS_ITS_SUPERVISOR,
    HostileAgent,
)

DAEMONS = [KILLS_ITS_SUPERVISOR, FORGES_ITS_END]


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RealPlane]:
    with real_plane(tmp_path) as plane:
        yield plane


@pytest.mark.parametrize("agent", DAEMONS)
def test_an_agent_that_kills_its_supervisor_and_leaves_a_daemon_keeps_its_slot_unproved(
    plane: RealPlane, agent: HostileAgent
) -> None:
    run = plane.start_running(plane.add_project(agent.told(seconds=4321)))
    plane.ears.wait_for(run.id, "gone")
    daemon = int((plane.copy(run) / "daemon").read_text())
    try:
        plane.reap(run)
        for _ in range(2):
            plane.tick()
        run = plane.run(run.id)
        assert (run.status, run.cause, run.released_at) == ("died", "session_gone", None)
        assert run.hold == "Couldn't confirm that its processes have exited"
        assert agent.seen in page_of(plane, run)
        assert is_living(daemon)
    finally:
        os.kill(daemon, signal.SIGKILL)


def test_an_agent_that_stops_its_supervisor_times_out_all_the_same(plane: RealPlane) -> None:
    run = plane.start_running(plane.add_project(STOPS_ITS_SUPERVISOR.told()))
    # its log stops growing together with its supervisor
    plane.wait((plane.copy(run) / "done").exists, "the agent has stopped its supervisor")
    kept = plane.run(run.id).supervisor
    assert kept
    # budget, grace and 30 seconds have passed on the boot clock, which nobody can set
    late = {**kept, "until": kept["until"] - run.budget_seconds - 60}
    plane.ledgers.runs.update_fields(run.id, run.project_id, supervisor=late)
    run = plane.reap(run)
    assert (run.status, run.cause) == ("timed_out", "budget")
    run = plane.see_end(run)
    assert run.released_at is not None
    assert STOPS_ITS_SUPERVISOR.seen in page_of(plane, run)
    assert not plane.adapters.engine.owned()


def test_a_set_up_that_stops_its_supervisor_for_good_ends_as_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in ((launch, "_START_SECONDS"), (local, "_KILL_MARGIN_SECONDS")):
        monkeypatch.setattr(module, name, 1.0)
    with real_plane(tmp_path, launch_seconds=1) as plane:
        again = ["/bin/sh", "-c", "while :; do kill -STOP $PPID; done"]
        run = plane.launch(plane.add_project("exit 0", setup_command=again))
        assert (run.status, run.cause) == ("not_started", "launch_failed")
        assert run.released_at is not None, run.hold
        assert not plane.adapters.engine.owned()


@pytest.mark.parametrize("forgery", ["exit", "gone", "started"])
def test_a_record_that_an_agent_changes_is_reported_once(plane: RealPlane, forgery: str) -> None:
    fields = '{"code": 0, "signal": null, "reason": "exited", "at": "2026-01-01T00:00:00.000Z"}'
    by_hand = f"""echo '{fields}' > "$(dirname "$RUNYARD_PROMPT_FILE")/{forgery}"; echo written"""
    another = NAMES_ANOTHER_PROCESS.told(pid=os.getpid())
    agent = another if forgery == "started" else f"{by_hand}; sleep 600"
    run = plane.start_running(plane.add_project(agent))
    plane.ears.wait_for_text(run.id, b"written")
    assert plane.reap(run).status == "running"
    plane.reap(run)
    plane.stop_run(run)
    run = plane.see_end(run)
    assert run.released_at is not None
    assert page_of(plane, run).count(NAMES_ANOTHER_PROCESS.seen) == 1


def test_a_run_whose_records_nobody_changed_says_nothing_of_them(plane: RealPlane) -> None:
    run = plane.finish(plane.add_project("exit 3"))
    sentences = [line.sentence for line in plane.ledgers.runs.timeline(run.id)]
    assert not [sentence for sentence in sentences if "record" in sentence]


def test_a_record_that_names_another_process_aims_no_signal_at_it(plane: RealPlane) -> None:
    with subprocess.Popen(["/bin/sleep", "600"]) as stranger:
        agent = NAMES_ANOTHER_PROCESS.told(pid=stranger.pid)
        run = plane.start_running(plane.add_project(agent))
        plane.ears.wait_for_text(run.id, b"written")
        plane.stop_run(run)
        run = plane.see_end(run)
        assert run.released_at is not None
        assert stranger.poll() is None
        stranger.kill()
    assert not plane.adapters.engine.owned()


def test_a_record_that_names_the_server_does_not_end_it(plane: RealPlane) -> None:
    agent = NAMES_ANOTHER_PROCESS.told(pid=os.getpid())
    run = plane.start_running(plane.add_project(agent))
    plane.ears.wait_for_text(run.id, b"written")
    plane.stop_run(run)
    assert plane.see_end(run).released_at is not None


# --- the engine alone: above, its user is that of the tests ---------------------------------------


@pytest.fixture(params=ONE_USER)
def trial(request: pytest.FixtureRequest) -> Iterator[Trial]:
    """A trial as a plain user, or as root."""
    with trial_of(request.param) as trial:
        yield trial


@pytest.mark.parametrize("agent", DAEMONS)
def test_no_users_agent_passes_for_gone_while_its_daemon_lives(
    trial: Trial, agent: HostileAgent
) -> None:
    tried = trial.run(agent.told(seconds=4321), SandboxLevel.NONE)
    daemon = int((trial.data / "copies" / "run_1" / "daemon").read_text())
    try:
        assert (tried.code, tried.signal, tried.is_gone) == (None, None, False), tried
        assert is_living(daemon)
    finally:
        os.kill(daemon, signal.SIGKILL)


def test_a_supervisor_that_any_users_agent_has_stopped_is_ended_with_all_it_started(
    trial: Trial,
) -> None:
    tried = trial.run(STOPS_ITS_SUPERVISOR.told(), SandboxLevel.NONE, ends_once="done")
    assert (tried.reason, tried.signal, tried.is_gone) == ("stopped", signal.SIGTERM, True), tried


def test_no_users_agent_aims_a_signal_at_another_process(trial: Trial) -> None:
    stranger = subprocess.Popen([*trial.prefix, "/bin/sleep", "600"])
    try:
        agent = NAMES_ANOTHER_PROCESS.told(pid=stranger.pid)
        tried = trial.run(agent, SandboxLevel.NONE, ends_once="done")
        assert (tried.is_gone, tried.is_untrue) == (True, True), tried
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_no_users_agent_aims_a_signal_at_the_server(trial: Trial) -> None:
    """The server ends the agent, and survives to report it."""
    agent = NAMES_ANOTHER_PROCESS.told(pid="$SERVER")
    tried = trial.run(agent, SandboxLevel.NONE, ends_once="done")
    assert (tried.reason, tried.is_gone, tried.is_untrue) == ("stopped", True, True), tried
