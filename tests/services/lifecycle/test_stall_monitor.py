"""Live agents without progress: silent, at their limit, or finished without exiting."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.records.tables import Run
from app.services.lifecycle.stall_monitor import SLIP_SECONDS, Clocks, StallMonitor
from tests.drivers.planes import COMMIT, RealPlane, real_plane
from tests.fakes.agents.replays import STREAMS, find_replays_in, install_replay, open_gate
from tests.fakes.agents.runs import is_living

ALLOWED = 600


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "programs"
    find_replays_in(folder, monkeypatch)
    return folder


@pytest.fixture
def plane(tmp_path: Path, programs: Path) -> Iterator[RealPlane]:
    with real_plane(tmp_path) as plane:
        yield plane


def begin_silent(
    plane: RealPlane, tmp_path: Path, *, stall_seconds: int | None = ALLOWED
) -> tuple[Run, Path]:
    """Start a run of an issue whose agent has written a line and waits at a gate."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    agent = f"echo begun; read line <{gate}; echo on; read line <{gate}; {COMMIT}"
    run = plane.start_running_issue(plane.add_project(agent, stall_seconds=stall_seconds))
    plane.ears.wait_for_text(run.id, b"begun")
    return run, gate


def start_claude(plane: RealPlane) -> Run:
    """Start a run of a new issue with the installed claude."""
    project = plane.add_project()
    return plane.start_running(project, agent="claude", issue=plane.add_issue(project).number)


def pass_seconds(plane: RealPlane, seconds: float) -> None:
    plane.clock.advance(seconds)
    plane.tick()


def set_written(plane: RealPlane, run: Run, seconds_ago: float) -> None:
    """Set a log's modification time to so many seconds ago."""
    at = plane.clock().timestamp() - seconds_ago
    (log,) = (plane.settings.runs_root / "records" / run.id).glob("log")
    os.utime(log, (at, at))


def test_a_silent_run_is_told_of_then_ended_and_nothing_of_it_is_left(
    plane: RealPlane, tmp_path: Path
) -> None:
    run, _ = begin_silent(plane, tmp_path)
    pass_seconds(plane, 200)
    assert plane.run(run.id).hold is None
    pass_seconds(plane, 200)
    assert plane.run(run.id).hold == "No output for 6 min"
    pass_seconds(plane, 210)
    plane.ears.wait_for(run.id, "gone")
    ended = plane.reap(run)
    assert (ended.status, ended.cause, ended.is_strike) == ("died", "stalled", True)
    assert (ended.because or "").startswith("the agent made no progress for 10 min, since ")
    assert ended.released_at is not None
    assert not is_living(ended.pid or 0)
    # the end is written before the kill
    kinds = plane.kinds(run)
    assert kinds.index("reaped") < kinds.index("kill_sent") < kinds.index("kill_verified")


def test_a_word_of_a_silent_agent_takes_the_warning_back_at_once(
    plane: RealPlane, tmp_path: Path
) -> None:
    run, gate = begin_silent(plane, tmp_path)
    pass_seconds(plane, 400)
    assert plane.run(run.id).hold == "No output for 6 min"
    open_gate(gate)
    plane.ears.wait_for_text(run.id, b"on\n")
    set_written(plane, run, 0)
    plane.services.reporter.schedule(run.id)
    plane.rest()
    assert plane.run(run.id).hold is None
    open_gate(gate)
    assert plane.see_end(run).status == "succeeded"


def test_a_silence_is_measured_by_the_log_after_a_restart(tmp_path: Path, programs: Path) -> None:
    with real_plane(tmp_path) as first:
        run, _ = begin_silent(first, tmp_path)
        second = RealPlane(tmp_path)
        try:
            second.recover_once()
            assert second.run(run.id).status == "running"
            pass_seconds(second, ALLOWED + 30)
            second.rest()
            assert (second.run(run.id).status, second.run(run.id).cause) == ("died", "stalled")
        finally:
            second.rest()
            second.stop()


def test_further_attempts_alone_are_no_progress_and_who_stalls_tells_of_them(
    plane: RealPlane, programs: Path
) -> None:
    install_replay(programs, "codex", STREAMS / "codex_offline.jsonl", lingers=True)
    project = plane.add_project(stall_seconds=ALLOWED)
    run = plane.start_running(project, agent="codex")
    plane.ears.wait_for_text(run.id, b"waiting for network")
    plane.tick()
    pass_seconds(plane, ALLOWED + 30)
    ended = plane.run(run.id)
    assert (ended.status, ended.cause) == ("died", "stalled")
    assert "only retried reaching its model" in (ended.because or "")


def test_without_a_time_of_its_own_a_project_ends_no_silent_run(
    plane: RealPlane, tmp_path: Path
) -> None:
    run, _ = begin_silent(plane, tmp_path, stall_seconds=None)
    pass_seconds(plane, 3700)
    assert plane.run(run.id).status == "running"
    assert plane.run(run.id).hold == "No output for 1 h"


# --- lingering -----------------------------------------------------------------------------------


def read_to_its_end(plane: RealPlane, run: Run, text: bytes) -> None:
    plane.ears.wait_for_text(run.id, text)
    plane.wait(lambda: plane.tick() or has_said(plane, run), "its last word is read")


def has_said(plane: RealPlane, run: Run) -> bool:
    return plane.services.reporter.of(plane.run(run.id)).last_word.is_final


def test_who_is_done_and_does_not_exit_is_ended_and_its_work_delivered(
    plane: RealPlane, programs: Path
) -> None:
    install_replay(programs, "claude", STREAMS / "claude.jsonl", lingers=True)
    run = start_claude(plane)
    read_to_its_end(plane, run, b"terminal_reason")
    plane.wait(lambda: (plane.copy(run) / "new.txt").exists(), "it has committed")
    pass_seconds(plane, 30)
    assert plane.run(run.id).status == "running"
    pass_seconds(plane, 20)
    ended = plane.see_end(run)
    assert (ended.status, ended.cause) == ("succeeded", "delivered"), plane.lines(run)
    # its exit code is unknown
    assert (ended.exit_code, ended.exit_signal) == (None, None)
    assert plane.project(run.project_id).strikes == 0


def test_who_failed_and_does_not_exit_dies_of_what_it_said(
    plane: RealPlane, programs: Path
) -> None:
    file = STREAMS / "claude_signed_out.jsonl"
    install_replay(programs, "claude", file, lingers=True, delivers=False)
    run = start_claude(plane)
    read_to_its_end(plane, run, b"terminal_reason")
    pass_seconds(plane, 50)
    ended = plane.see_end(run)
    assert (ended.status, ended.cause, ended.is_strike) == ("died", "auth", False)
    assert ended.because == "the agent is not signed in: Not logged in · Please run /login"


# --- limits --------------------------------------------------------------------------------------

EVIDENCE = "You've hit your session limit · resets 2:30pm (Europe/Paris)"


@pytest.mark.parametrize("lingers", [False, True])
def test_a_limit_ends_a_run_without_a_strike_whether_its_agent_exits_or_not(
    plane: RealPlane, programs: Path, *, lingers: bool
) -> None:
    file = STREAMS / "claude_limited.jsonl"
    install_replay(programs, "claude", file, code=1, delivers=False, lingers=lingers)
    run = start_claude(plane)
    if lingers:
        read_to_its_end(plane, run, b"total_cost_usd")
        pass_seconds(plane, 50)
    ended = plane.see_end(run)
    assert (ended.status, ended.cause, ended.is_strike) == ("limited", "usage_limit", False)
    assert ended.because == f"the agent's usage limit was reached: {EVIDENCE}"
    assert ended.exit_code == (None if lingers else 1)
    assert plane.project(run.project_id).strikes == 0
    (line,) = [one for one in plane.ledgers.runs.timeline(run.id) if one.kind == "reaped"]
    assert line.data == {"evidence": EVIDENCE}


def test_who_goes_on_after_a_limit_has_not_ended_at_it(plane: RealPlane, programs: Path) -> None:
    install_replay(programs, "claude", STREAMS / "claude_limited_and_on.jsonl")
    assert plane.finish(plane.add_project(), agent="claude").status == "succeeded"


@pytest.mark.parametrize(
    ("agent", "file", "code", "cause"),
    [
        ("codex", "codex_signed_out.jsonl", 1, "auth"),
        ("gemini", "gemini_signed_out.jsonl", 41, "auth"),
        ("opencode", "opencode_unknown_model.jsonl", 0, "exit_code"),
        ("aider", "aider_offline.txt", 0, "network"),
    ],
)
def test_an_exit_code_that_says_little_is_understood_by_the_last_word(
    plane: RealPlane, programs: Path, agent: str, file: str, code: int, cause: str
) -> None:
    install_replay(programs, agent, STREAMS / file, code=code, delivers=False)
    ended = plane.finish(plane.add_project(), agent=agent)
    assert (ended.status, ended.cause, ended.exit_code) == ("died", cause, code)


def test_a_limit_is_known_though_its_sums_were_written_before_a_crash(
    tmp_path: Path, programs: Path
) -> None:
    install_replay(programs, "codex", STREAMS / "codex_limited.jsonl", code=1, delivers=False)
    with real_plane(tmp_path) as first:
        run = first.start_running(first.add_project(), agent="codex")
        first.ears.wait_for(run.id, "gone")
        first.services.reporter.conclude(first.run(run.id))
        second = RealPlane(tmp_path)
        try:
            assert second.reap(run).status == "limited"
        finally:
            second.rest()
            second.stop()


# --- a sleeping machine --------------------------------------------------------------------------


def test_time_that_the_machine_slept_is_nobodys_silence(plane: RealPlane, tmp_path: Path) -> None:
    run, _ = begin_silent(plane, tmp_path)
    slips, calls = [0.0], []
    clocks = Clocks(plane.clock, lambda: slips[0], lambda name, at, _: calls.append((name, at)))
    stall_monitor = StallMonitor(
        plane.ledgers.runs, plane.services.reporter, plane.workers, clocks, lambda _: None
    )
    plane.clock.advance(3600)
    vitals: Any = stall_monitor.vitals_of(run)
    assert (plane.clock() - vitals.progress_at).total_seconds() > 3500
    slips[0] += 3600 + SLIP_SECONDS
    vitals = stall_monitor.vitals_of(run)
    assert vitals.progress_at == vitals.output_at == plane.clock()
    # it is checked when its warning is due, once for any number of checks before
    stall_monitor.keep(run, vitals, ALLOWED)
    stall_monitor.keep(run, vitals, ALLOWED)
    assert calls == [(f"look at {run.id}", plane.clock.advance(ALLOWED / 2))]
