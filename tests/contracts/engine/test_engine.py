"""The contract of every engine, with real processes."""

from __future__ import annotations

import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.domain.end_causes import ExitReason
from app.services.ports import LaunchFailed
from tests.fakes.agents.runs import (
    RUN,
    Ears,
    KeepingEngine,
    carrying,
    order,
    run_to_end,
    script,
    shell,
    until,
)

# the real supervisor, killed once it has written that it started and before it is told to begin
KILLED_EARLY = r"""#!/bin/sh
for folder; do :; done
exec 3<&0
"{python}" "$@" <&3 >/dev/null &
until grep -q pid "$folder/started" 2>/dev/null; do sleep 0.01; done
pid=$(grep -o '"pid": *[0-9]*' "$folder/started" | head -n 1)
kill -9 "${{pid##*[: ]}}"
"""


@pytest.mark.parametrize(
    ("text", "code", "signum"),
    [("exit 0", 0, None), ("exit 3", 3, None), ("kill -9 $$", None, 9), ("kill $$", None, 15)],
)
def test_an_end_is_reported_with_its_code_or_signal(
    engine: KeepingEngine, ears: Ears, workdir: Path, text: str, code: int, signum: int
) -> None:
    sight = run_to_end(engine, ears, workdir, shell(text))
    assert sight.exit is not None
    assert (sight.exit.code, sight.exit.signal) == (code, signum)
    assert sight.exit.reason is ExitReason.EXITED
    assert abs(datetime.now(UTC) - sight.exit.at) < timedelta(seconds=30)
    assert (sight.alive, sight.tree_gone, sight.host_restarted) == (False, True, False)


def test_log_exit_and_gone_are_reported_in_that_order(
    engine: KeepingEngine, ears: Ears, workdir: Path
) -> None:
    run_to_end(engine, ears, workdir, shell("echo done"))
    heard = ears.of(RUN)
    assert heard[0] == "log"
    assert heard.index("log") < heard.index("exit") < heard.index("gone")
    assert heard[-1] == "gone"


def test_what_happened_before_the_watch_is_reported_too(
    engine: KeepingEngine, ears: Ears, workdir: Path
) -> None:
    engine.start(order(RUN, workdir, shell("echo done")))
    until(lambda: engine.see(RUN).tree_gone, "the end")
    engine.follow(RUN)
    ears.wait_for(RUN, "gone")
    assert ears.of(RUN)[:2] == ["log", "exit"]


def test_a_run_not_watched_any_more_is_not_reported(
    engine: KeepingEngine, ears: Ears, workdir: Path
) -> None:
    engine.start(order(RUN, workdir, script("stubborn")))
    engine.start(order("run_c0002", workdir, shell("read x < go || :")))
    ears.wait_for_text(RUN, b"ready")
    engine.unwatch(RUN)
    engine.follow("run_c0002")
    ears.wait_for("run_c0002", "gone")
    before = ears.of(RUN)
    assert engine.end(RUN)
    assert ears.of(RUN) == before
    assert "gone" not in before


def test_a_living_agent_is_seen_alive_and_not_ended(engine: KeepingEngine, workdir: Path) -> None:
    mark = engine.start(order(RUN, workdir, script("stubborn")))
    sight = engine.see(RUN)
    assert (sight.alive, sight.exit, sight.tree_gone) == (True, None, False)
    assert sight.mark == mark
    assert engine.owned() == {RUN}


def test_the_budget_ends_a_run_with_the_reason_deadline(
    engine: KeepingEngine, ears: Ears, workdir: Path
) -> None:
    sight = run_to_end(engine, ears, workdir, shell("sleep 60"), budget_seconds=0.2)
    assert sight.exit is not None
    assert (sight.exit.reason, sight.exit.signal) == (ExitReason.DEADLINE, signal.SIGTERM)
    assert sight.tree_gone


def test_a_kill_is_proved_and_recorded_as_stopped(
    engine: KeepingEngine, ears: Ears, workdir: Path
) -> None:
    engine.start(order(RUN, workdir, shell("echo ready; sleep 60 & wait")))
    ears.wait_for_text(RUN, b"ready")
    assert engine.end(RUN)
    sight = engine.see(RUN)
    assert sight.exit is not None
    assert sight.exit.reason is ExitReason.STOPPED
    assert (sight.alive, sight.tree_gone) == (False, True)
    assert engine.owned() == set()
    assert engine.end(RUN)


def test_an_agent_may_use_its_grace_to_end_well(
    engine: KeepingEngine, ears: Ears, workdir: Path
) -> None:
    text = "trap 'echo bye; exit 4' TERM; echo ready; while :; do sleep 0.02; done"
    engine.start(order(RUN, workdir, shell(text), grace_seconds=5))
    ears.wait_for_text(RUN, b"ready")
    assert engine.end(RUN)
    sight = engine.see(RUN)
    assert sight.exit is not None
    assert (sight.exit.reason, sight.exit.code) == (ExitReason.STOPPED, 4)
    assert engine.log(RUN).read().content.endswith(b"bye\n")


def test_killing_what_never_was_is_proved_at_once(engine: KeepingEngine) -> None:
    assert engine.end("run_c9999")
    assert engine.see("run_c9999").tree_gone
    assert engine.log("run_c9999").read().content == b""


def test_an_id_that_is_a_path_is_refused(engine: KeepingEngine) -> None:
    for run_id in ("../etc", "", "a/b", "run_\n", "RUN"):
        with pytest.raises(ValueError, match="not a run id"):
            engine.inspect(run_id, None)


def test_a_run_is_not_started_twice(engine: KeepingEngine, workdir: Path) -> None:
    mark = engine.start(order(RUN, workdir, script("stubborn")))
    with pytest.raises(LaunchFailed, match="started before"):
        engine.start(order(RUN, workdir, script("stubborn")))
    assert engine.see(RUN).mark == mark


def test_another_engine_on_the_same_folder_adopts_the_run(
    engine: KeepingEngine, workdir: Path, tmp_path: Path
) -> None:
    (go := workdir / "go").touch()
    go.unlink()
    os.mkfifo(go)
    instance = engine._instance
    mark = engine.start(order(RUN, workdir, shell(f"echo one; read x < {go}; echo two; exit 5")))
    engine.close()
    later = KeepingEngine(tmp_path / "runs", instance=instance)
    later_ears = Ears(later, later.kept)
    later.follow(RUN)
    assert later.see(RUN).mark == mark
    assert later.owned() == {RUN}
    go.write_text("now\n")
    later_ears.wait_for(RUN, "gone")
    sight = later.see(RUN)
    assert sight.exit is not None
    assert sight.exit.code == 5
    assert later.log(RUN).read().content == b"one\ntwo\n"
    later.close()


def test_only_processes_of_this_instance_are_owned(
    engine: KeepingEngine, workdir: Path, tmp_path: Path
) -> None:
    engine.start(order(RUN, workdir, script("stubborn")))
    other = KeepingEngine(tmp_path / "runs", instance="another")
    assert other.owned() == set()
    assert not other.end(RUN)
    assert engine.see(RUN).alive


def test_what_the_agent_leaves_behind_ends_with_it(
    engine: KeepingEngine, ears: Ears, workdir: Path
) -> None:
    sight = run_to_end(engine, ears, workdir, script("leaves_daemon", workdir / "pid"))
    assert sight.exit is not None
    assert (sight.exit.code, sight.tree_gone) == (0, True)
    # found by its argument: its pid belongs to the sandbox's namespace
    assert not carrying(str(workdir / "pid"))


def test_nothing_is_left_of_a_run_whose_supervisor_is_killed_before_it_may_begin(
    engine: KeepingEngine, workdir: Path, tmp_path: Path
) -> None:
    killed_early = tmp_path / "killed_early"
    killed_early.write_text(KILLED_EARLY.format(python=sys.executable))
    killed_early.chmod(0o700)
    engine._python = str(killed_early)
    with pytest.raises(LaunchFailed, match="exited before the agent started"):
        engine.start(order(RUN, workdir, shell("echo begun")))
    assert engine.kept(RUN) is None
    assert engine.see(RUN).tree_gone
    assert engine.end(RUN)
