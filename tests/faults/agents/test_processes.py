"""Faults of processes (faults.md F9, F15-F18, F31)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from time import CLOCK_BOOTTIME, clock_gettime, monotonic

import pytest

from app.adapters.engine import launch, local
from app.domain.end_causes import ExitReason
from app.services.ports import Kept, LaunchFailed
from tests.fakes.agents.runs import RUN, Ears, KeepingEngine, is_living, order, script, shell, until

ROOT = Path(__file__).parents[3]
APP_THAT_IS_KILLED = """
import os, signal, sys
from pathlib import Path
from tests.fakes.agents.runs import KeepingEngine, order, shell

root, instance, text = sys.argv[1:]
engine = KeepingEngine(Path(root), instance=instance)
engine.start(order("run_c0001", Path(root), shell(text)))
os.kill(os.getpid(), signal.SIGKILL)
"""


APP_THAT_IS_KILLED_AS_IT_KEEPS = """
import os, signal, sys
from pathlib import Path
from tests.fakes.agents.runs import KeepingEngine, order, shell

root, instance, text, knows = sys.argv[1:]
engine = KeepingEngine(Path(root), instance=instance)
def keep(kept):
    if knows == "knows":
        engine.keep("run_c0001", kept)
    os.kill(os.getpid(), signal.SIGKILL)
engine.launch(order("run_c0001", Path(root), shell(text), setup=shell(text)), keep)
"""


def agent_of(root: Path) -> int:
    return json.loads((root / RUN / "started").read_text())["agent"]["pid"]


def pid_in(path: Path) -> int:
    return int(until(lambda: path.exists() and path.read_text(), "the daemon's pid"))


def test_f15_a_run_outlives_the_app_that_was_killed(
    engine: KeepingEngine, ears: Ears, root: Path, instance: str, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "go")
    text = f"echo one; read x < {tmp_path}/go; echo two; exit 7"
    app = subprocess.run(
        [sys.executable, "-c", APP_THAT_IS_KILLED, str(root), instance, text], cwd=ROOT
    )
    assert app.returncode == -signal.SIGKILL
    assert engine.owned() == {RUN}
    assert engine.see(RUN).alive
    engine.follow(RUN)
    (tmp_path / "go").write_text("now\n")
    ears.wait_for(RUN, "gone")
    sight = engine.see(RUN)
    assert sight.exit is not None
    assert (sight.exit.code, sight.exit.reason) == (7, ExitReason.EXITED)
    assert engine.log(RUN).read().content == b"one\ntwo\n"


@pytest.mark.parametrize("knows", ["knows", "knows nothing"])
def test_f9_nothing_of_a_run_begins_whose_server_was_killed_before_it_had_written_that_down(
    engine: KeepingEngine, ears: Ears, root: Path, instance: str, tmp_path: Path, knows: str
) -> None:
    app = subprocess.run(
        [
            *(sys.executable, "-c", APP_THAT_IS_KILLED_AS_IT_KEEPS),
            *(str(root), instance, f"touch {tmp_path}/begun", knows),
        ],
        cwd=ROOT,
    )
    assert app.returncode == -signal.SIGKILL
    engine.follow(RUN)
    ears.wait_for(RUN, "gone")
    sight = engine.see(RUN)
    assert sight.exit is not None
    assert (sight.exit.reason, sight.mark, sight.tree_gone) == (ExitReason.NOT_SPAWNED, None, True)
    assert engine.owned() == set()
    assert not (tmp_path / "begun").exists()


def test_a_run_is_known_before_its_set_up_begins(
    engine: KeepingEngine, root: Path, tmp_path: Path
) -> None:
    seen = []

    def keep(kept: Kept) -> None:
        seen.append((engine.inspect(RUN, kept), (tmp_path / "begun").exists()))
        engine.keep(RUN, kept)

    text = shell(f"touch {tmp_path}/begun")
    launched = engine.launch(order(RUN, tmp_path, script("stubborn"), setup=text), keep)
    [(sight, has_begun)] = seen
    assert (sight.alive, sight.mark, has_begun) == (True, None, False)
    engine.keep(RUN, launched.kept)
    assert engine.see(RUN).mark == launched.mark


def test_a_launch_that_is_called_off_as_its_row_is_written_begins_nothing(
    engine: KeepingEngine, tmp_path: Path
) -> None:
    def keep(kept: Kept) -> None:
        engine.keep(RUN, kept)
        raise ValueError("not wanted any more")

    with pytest.raises(ValueError, match="not wanted"):
        engine.launch(order(RUN, tmp_path, shell(f"touch {tmp_path}/begun")), keep)
    assert engine.see(RUN).tree_gone
    assert engine.owned() == set()
    assert not (tmp_path / "begun").exists()


def test_a_supervisor_that_its_set_up_stops_for_good_is_ended_when_its_time_is_over(
    engine: KeepingEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "_START_SECONDS", 1.0)
    monkeypatch.setattr(local, "_KILL_MARGIN_SECONDS", 0.5)
    again = "while :; do kill -STOP $PPID; done"
    late = order(RUN, tmp_path, shell("exit 0"), setup=shell(again), launch_seconds=0.7)
    with pytest.raises(LaunchFailed, match="was not there after 2 s"):
        engine.start(late)
    assert engine.see(RUN).tree_gone
    assert engine.end(RUN)
    assert engine.owned() == set()


def test_f9_a_supervisor_without_a_record_is_found_by_its_mark(
    engine: KeepingEngine, root: Path, tmp_path: Path
) -> None:
    mark = engine.start(order(RUN, tmp_path, script("stubborn")))
    (root / RUN / "started").unlink()
    sight = engine.see(RUN)
    assert (sight.alive, sight.mark, sight.tree_gone) == (True, mark, False)
    assert engine.end(RUN)
    assert engine.see(RUN).tree_gone


def test_f16_an_agent_that_ignores_term_is_killed_after_its_grace(
    engine: KeepingEngine, ears: Ears, tmp_path: Path
) -> None:
    engine.start(order(RUN, tmp_path, script("stubborn"), grace_seconds=0.4))
    ears.wait_for_text(RUN, b"ready")
    begin = monotonic()
    assert engine.end(RUN)
    # the default grace is ten seconds
    assert 0.4 <= monotonic() - begin < 10
    sight = engine.see(RUN)
    assert sight.exit is not None
    assert (sight.exit.reason, sight.exit.signal) == (ExitReason.STOPPED, signal.SIGKILL)


def test_a_second_term_changes_nothing(engine: KeepingEngine, ears: Ears, tmp_path: Path) -> None:
    text = "trap 'echo asked' TERM; echo ready; while :; do sleep 0.02; done"
    mark = engine.start(order(RUN, tmp_path, shell(text), grace_seconds=0.4))
    ears.wait_for_text(RUN, b"ready")
    os.kill(mark.pid, signal.SIGTERM)
    ears.wait_for_text(RUN, b"asked")
    os.kill(mark.pid, signal.SIGTERM)
    ears.wait_for(RUN, "gone")
    assert engine.log(RUN).read().content.count(b"asked") == 1
    sight = engine.see(RUN)
    assert sight.exit is not None
    assert sight.exit.reason is ExitReason.STOPPED


def test_f17_a_daemon_without_session_or_environment_ends_with_a_kill(
    engine: KeepingEngine, ears: Ears, tmp_path: Path
) -> None:
    argv = script("leaves_daemon", tmp_path / "pid", "stay")
    engine.start(order(RUN, tmp_path, argv))
    daemon = pid_in(tmp_path / "pid")
    ears.wait_for_text(RUN, b"ready")
    assert is_living(daemon)
    assert engine.end(RUN)
    assert not is_living(daemon)


def test_f17_a_supervisor_that_was_stopped_keeps_no_daemon(
    engine: KeepingEngine, ears: Ears, tmp_path: Path
) -> None:
    argv = script("leaves_daemon", tmp_path / "pid", "stay")
    mark = engine.start(order(RUN, tmp_path, argv))
    ears.wait_for_text(RUN, b"ready")
    daemon = pid_in(tmp_path / "pid")
    os.kill(mark.pid, signal.SIGSTOP)
    assert engine.end(RUN)
    assert not is_living(daemon)
    assert engine.see(RUN).tree_gone


def test_f18_an_agent_that_never_stops_forking_is_ended(
    engine: KeepingEngine, ears: Ears, tmp_path: Path
) -> None:
    engine.start(order(RUN, tmp_path, script("keeps_forking"), grace_seconds=0.1))
    ears.wait_for_text(RUN, b"ready")
    assert engine.end(RUN)
    assert engine.owned() == set()


def test_an_agent_does_not_outlive_a_supervisor_killed_with_nine(
    engine: KeepingEngine, ears: Ears, root: Path, tmp_path: Path
) -> None:
    mark = engine.start(order(RUN, tmp_path, script("stubborn")))
    agent = agent_of(root)
    ears.wait_for_text(RUN, b"ready")
    os.kill(mark.pid, signal.SIGKILL)
    ears.wait_for(RUN, "gone")
    until(lambda: not is_living(agent), "the agent's end")
    sight = engine.see(RUN)
    assert (sight.alive, sight.exit, sight.host_restarted) == (False, None, False)
    # no supervisor was left to confirm that nothing else lives
    assert not sight.tree_gone


def test_what_outlives_a_killed_supervisor_is_ended_by_its_mark_and_no_more_is_proved(
    engine: KeepingEngine, ears: Ears, tmp_path: Path
) -> None:
    text = f"setsid sleep 60 & echo $! > {tmp_path}/pid; echo ready; wait"
    mark = engine.start(order(RUN, tmp_path, shell(text)))
    ears.wait_for_text(RUN, b"ready")
    os.kill(mark.pid, signal.SIGKILL)
    ears.wait_for(RUN, "gone")
    sight = engine.see(RUN)
    assert (sight.alive, sight.tree_gone) == (False, False)
    assert not engine.end(RUN)
    assert not is_living(pid_in(tmp_path / "pid"))
    assert not engine.see(RUN).tree_gone


def test_f31_the_budget_is_counted_by_the_boot_clock(
    engine: KeepingEngine, ears: Ears, tmp_path: Path
) -> None:
    begin = clock_gettime(CLOCK_BOOTTIME)
    engine.start(order(RUN, tmp_path, shell("sleep 60"), budget_seconds=0.5))
    engine.follow(RUN)
    ears.wait_for(RUN, "exit")
    assert 0.5 <= clock_gettime(CLOCK_BOOTTIME) - begin < 3


@pytest.mark.soak
@pytest.mark.parametrize("days", [1, -1])
def test_f31_a_clock_that_jumps_ends_no_run(
    engine: KeepingEngine, tmp_path: Path, days: int
) -> None:
    engine.start(order(RUN, tmp_path, script("stubborn"), budget_seconds=30))
    subprocess.run(["/bin/date", "-s", f"{days} day"], check=True, stdout=subprocess.DEVNULL)
    try:
        engine.start(order("run_c0002", tmp_path, shell("sleep 1")))
        until(lambda: engine.see("run_c0002").tree_gone, "the other run's end")
        assert engine.see(RUN).alive
        assert engine.see(RUN).exit is None
    finally:
        subprocess.run(["/bin/date", "-s", f"{-days} day"], check=True, stdout=subprocess.DEVNULL)
