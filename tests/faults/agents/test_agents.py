"""Faults of agents: they cannot start, they wait, they flood the log (faults.md F23-F27)."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from app.services.ports import LaunchFailed
from tests.fakes.agents.runs import RUN, Ears, KeepingEngine, order, script, shell, until

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
# stops the supervisor, then delivers its first two reports at once, as to a busy server
LATE_READER = f"""#!{sys.executable}
import json, os, signal, subprocess, sys

supervisor = subprocess.Popen([sys.executable, *sys.argv[1:]], stdout=subprocess.PIPE)
first = supervisor.stdout.readline()
os.kill(json.loads(first)["pid"], signal.SIGTERM)
os.write(1, first + supervisor.stdout.readline())
"""


def test_f23_what_cannot_be_started_is_said_at_once_and_leaves_no_process(
    engine: KeepingEngine, tmp_path: Path
) -> None:
    (tmp_path / "plain").write_text("no program")
    (tmp_path / "odd").write_bytes(b"\x7fELFnonsense")
    (tmp_path / "odd").chmod(0o700)
    cases: list[tuple[list[str], Path, str]] = [
        (["no-such-agent"], tmp_path, "The command was not found: no-such-agent"),
        ([str(tmp_path / "plain")], tmp_path, "cannot be executed: .*plain"),
        ([str(tmp_path / "odd")], tmp_path, "cannot be executed: .*odd"),
        ([str(tmp_path)], tmp_path, "cannot be executed"),
        (["/bin/true", "x" * 4_000_000], tmp_path, "too long"),
        (["/bin/true"], tmp_path / "gone", "working copy cannot be entered: .*gone"),
        (["/bin/true", "a\0b"], tmp_path, "a character it cannot hold"),
        (["/bin/true", "\ud800"], tmp_path, "a character it cannot hold"),
        ([], tmp_path, "no command"),
    ]
    for number, (argv, workdir, sentence) in enumerate(cases):
        run_id = f"run_c{number}"
        with pytest.raises(LaunchFailed, match=sentence):
            engine.start(order(run_id, workdir, argv))
        until(lambda run_id=run_id: engine.see(run_id).tree_gone, "the supervisor's end")
    assert engine.owned() == set()


def test_f23_a_supervisor_that_cannot_run_is_a_failed_launch(
    root: Path, instance: str, tmp_path: Path
) -> None:
    engine = KeepingEngine(root, instance=instance, python="/bin/false")
    with pytest.raises(LaunchFailed, match="supervisor exited before"):
        engine.start(order(RUN, tmp_path, ["/bin/true"]))


def test_f23_a_stop_while_the_setup_runs_fails_the_launch(
    engine: KeepingEngine, root: Path, tmp_path: Path
) -> None:
    setup = shell("kill $PPID; sleep 60")
    with pytest.raises(LaunchFailed, match="setup command was stopped"):
        engine.start(order(RUN, tmp_path, shell("touch ran"), setup=setup))
    assert not (tmp_path / "ran").exists()


def test_f23_a_stop_before_a_busy_server_has_heard_of_the_supervisor_fails_the_launch(
    root: Path, instance: str, tmp_path: Path
) -> None:
    reader = tmp_path / "reader"
    reader.write_text(LATE_READER)
    reader.chmod(0o700)
    engine = KeepingEngine(root, instance=instance, python=str(reader))
    with pytest.raises(LaunchFailed, match="It was stopped before its agent was started"):
        engine.start(order(RUN, tmp_path, shell("touch ran")))
    until(lambda: engine.see(RUN).tree_gone, "the supervisor's end")
    assert not (tmp_path / "ran").exists()


def test_f24_an_agent_that_waits_for_input_gets_its_end(
    engine: KeepingEngine, ears: Ears, tmp_path: Path
) -> None:
    engine.start(order(RUN, tmp_path, shell("read x; echo got $?; tty; exit 0")))
    engine.follow(RUN)
    ears.wait_for(RUN, "gone")
    assert engine.log(RUN).read().content == b"got 1\nnot a tty\n"


def test_f25_a_flood_is_capped_and_costs_no_memory(
    engine: KeepingEngine, ears: Ears, root: Path, tmp_path: Path
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    text = "head -c 200000000 /dev/zero; exit 9"
    engine.start(order(RUN, tmp_path, shell(text), log_cap_bytes=1_000_000))
    engine.follow(RUN)
    ears.wait_for(RUN, "gone")
    sight = engine.see(RUN)
    assert sight.exit is not None
    assert sight.exit.code == 9
    log = engine.log(RUN)
    assert (log.size, log.is_cut) == (200_000_000, True)
    assert len(log.read().content) < 1_000_100
    assert sum(path.stat().st_size for path in (root / RUN).iterdir()) < 1_010_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_f26_one_line_of_ten_megabytes_is_kept_whole(
    engine: KeepingEngine, ears: Ears, tmp_path: Path
) -> None:
    size = 10_000_000
    argv = script("floods", size, "one-line")
    engine.start(order(RUN, tmp_path, argv, log_cap_bytes=50_000_000))
    engine.follow(RUN)
    ears.wait_for(RUN, "gone")
    log = engine.log(RUN)
    assert (log.size, log.is_cut) == (size + 1, False)
    assert log.read(size - 2).content == b"xx\n"


def test_f27_a_disk_that_refuses_the_log_neither_holds_nor_ends_the_agent(
    engine: KeepingEngine, root: Path, instance: str, tmp_path: Path
) -> None:
    # no file may exceed 8 KiB: writes are refused as on a full disk
    limited = f"ulimit -f 8; exec {sys.executable} -c '{APP_THAT_IS_KILLED}' \"$@\""
    text = "yes 0123456 | head -c 1000000; exit 3"
    argv = ["/bin/bash", "-c", limited, "bash", str(root), instance, text]
    subprocess.run(argv, cwd=ROOT)
    until(lambda: engine.see(RUN).tree_gone, "the end")
    sight = engine.see(RUN)
    assert sight.exit is not None
    assert sight.exit.code == 3
    log = engine.log(RUN)
    assert log.is_cut
    assert log.read(0, 16).content == b"0123456\n0123456\n"
