"""Faults of processes (faults.md F15-F18, F20, F21, F23-F26, F31), and hostile run folders."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from time import CLOCK_BOOTTIME, clock_gettime, monotonic
from typing import Any

import pytest

from app.adapters.engine.local import LocalEngine
from app.adapters.engine.processes import ProcessTable
from app.adapters.supervisor.kernel import read_boot_id, read_stat
from app.domain.rules import ExitReason
from app.services.ports import LaunchFailed
from tests.agents_for_tests.runs import Ears, is_living, order, script, shell, until

ROOT = Path(__file__).parents[2]
RUN = "run_c0001"
APP_THAT_IS_KILLED = """
import os, signal, sys
from pathlib import Path
from app.adapters.engine.local import LocalEngine
from tests.agents_for_tests.runs import order, shell

root, instance, text = sys.argv[1:]
engine = LocalEngine(Path(root), instance=instance)
engine.launch(order("run_c0001", Path(root), shell(text)))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def instance() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def engine(root: Path, instance: str) -> Iterator[LocalEngine]:
    engine = LocalEngine(root, instance=instance)
    yield engine
    assert all(engine.kill(run_id) for run_id in engine.owned())
    engine.close()


@pytest.fixture
def ears(engine: LocalEngine) -> Ears:
    return Ears(engine)


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        yield process
        assert process.poll() is None, "the stranger was ended"
        process.kill()


def agent_of(root: Path) -> int:
    return json.loads((root / RUN / "started").read_text())["agent"]["pid"]


def pid_in(path: Path) -> int:
    return int(until(lambda: path.exists() and path.read_text(), "the daemon's pid"))


def write_started(root: Path, instance: str, **fields: Any) -> None:
    (root / RUN).mkdir(parents=True, exist_ok=True)
    whole = {
        "run_id": RUN,
        "instance": instance,
        "boot_id": read_boot_id(),
        "grace": 0.1,
        "agent": None,
        **fields,
    }
    (root / RUN / "started").unlink(missing_ok=True)
    (root / RUN / "started").write_text(json.dumps(whole))


def test_f15_a_run_outlives_the_app_that_was_killed(
    engine: LocalEngine, ears: Ears, root: Path, instance: str, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "go")
    text = f"echo one; read x < {tmp_path}/go; echo two; exit 7"
    root.mkdir()
    app = subprocess.run(
        [sys.executable, "-c", APP_THAT_IS_KILLED, str(root), instance, text], cwd=ROOT
    )
    assert app.returncode == -signal.SIGKILL
    assert engine.owned() == {RUN}
    assert engine.look(RUN).alive
    engine.watch(RUN)
    (tmp_path / "go").write_text("now\n")
    ears.wait_for(RUN, "gone")
    sight = engine.look(RUN)
    assert sight.exit is not None
    assert (sight.exit.code, sight.exit.reason) == (7, ExitReason.EXITED)
    assert engine.log(RUN).read().content == b"one\ntwo\n"


def test_f9_a_supervisor_without_a_record_is_found_by_its_mark(
    engine: LocalEngine, root: Path, tmp_path: Path
) -> None:
    mark = engine.launch(order(RUN, tmp_path, script("stubborn")))
    (root / RUN / "started").unlink()
    sight = engine.look(RUN)
    assert (sight.alive, sight.mark, sight.tree_gone) == (True, mark, False)
    assert engine.kill(RUN)
    assert engine.look(RUN).tree_gone


def test_f16_an_agent_that_ignores_term_is_killed_after_its_grace(
    engine: LocalEngine, ears: Ears, tmp_path: Path
) -> None:
    engine.launch(order(RUN, tmp_path, script("stubborn"), grace_seconds=0.4))
    ears.wait_for_text(RUN, b"ready")
    begin = monotonic()
    assert engine.kill(RUN)
    assert 0.4 <= monotonic() - begin < 3
    sight = engine.look(RUN)
    assert sight.exit is not None
    assert (sight.exit.reason, sight.exit.signal) == (ExitReason.STOPPED, signal.SIGKILL)


def test_a_second_term_changes_nothing(engine: LocalEngine, ears: Ears, tmp_path: Path) -> None:
    text = "trap 'echo asked' TERM; echo ready; while :; do sleep 0.02; done"
    mark = engine.launch(order(RUN, tmp_path, shell(text), grace_seconds=0.4))
    ears.wait_for_text(RUN, b"ready")
    os.kill(mark.pid, signal.SIGTERM)
    ears.wait_for_text(RUN, b"asked")
    os.kill(mark.pid, signal.SIGTERM)
    ears.wait_for(RUN, "gone")
    assert engine.log(RUN).read().content.count(b"asked") == 1
    sight = engine.look(RUN)
    assert sight.exit is not None
    assert sight.exit.reason is ExitReason.STOPPED


def test_f17_a_daemon_without_session_or_environment_ends_with_a_kill(
    engine: LocalEngine, ears: Ears, tmp_path: Path
) -> None:
    argv = script("leaves_daemon", tmp_path / "pid", "stay")
    engine.launch(order(RUN, tmp_path, argv))
    daemon = pid_in(tmp_path / "pid")
    ears.wait_for_text(RUN, b"ready")
    assert is_living(daemon)
    assert engine.kill(RUN)
    assert not is_living(daemon)


def test_f17_a_supervisor_that_was_stopped_keeps_no_daemon(
    engine: LocalEngine, ears: Ears, tmp_path: Path
) -> None:
    argv = script("leaves_daemon", tmp_path / "pid", "stay")
    mark = engine.launch(order(RUN, tmp_path, argv))
    ears.wait_for_text(RUN, b"ready")
    daemon = pid_in(tmp_path / "pid")
    os.kill(mark.pid, signal.SIGSTOP)
    assert engine.kill(RUN)
    assert not is_living(daemon)
    assert engine.look(RUN).tree_gone


def test_f18_an_agent_that_never_stops_forking_is_ended(
    engine: LocalEngine, ears: Ears, tmp_path: Path
) -> None:
    engine.launch(order(RUN, tmp_path, script("keeps_forking"), grace_seconds=0.1))
    ears.wait_for_text(RUN, b"ready")
    assert engine.kill(RUN)
    assert engine.owned() == set()


def test_an_agent_does_not_outlive_a_supervisor_killed_with_nine(
    engine: LocalEngine, ears: Ears, root: Path, tmp_path: Path
) -> None:
    mark = engine.launch(order(RUN, tmp_path, script("stubborn")))
    agent = agent_of(root)
    ears.wait_for_text(RUN, b"ready")
    os.kill(mark.pid, signal.SIGKILL)
    ears.wait_for(RUN, "gone")
    until(lambda: engine.look(RUN).tree_gone, "the agent's end")
    sight = engine.look(RUN)
    assert (sight.alive, sight.exit, sight.host_restarted) == (False, None, False)
    assert not is_living(agent)


def test_what_outlives_a_killed_supervisor_keeps_the_tree_until_a_kill(
    engine: LocalEngine, ears: Ears, tmp_path: Path
) -> None:
    text = f"setsid sleep 60 & echo $! > {tmp_path}/pid; echo ready; wait"
    mark = engine.launch(order(RUN, tmp_path, shell(text)))
    ears.wait_for_text(RUN, b"ready")
    os.kill(mark.pid, signal.SIGKILL)
    ears.wait_for(RUN, "gone")
    sight = engine.look(RUN)
    assert (sight.alive, sight.tree_gone) == (False, False)
    assert engine.kill(RUN)
    assert engine.look(RUN).tree_gone
    assert not is_living(pid_in(tmp_path / "pid"))


def test_f20_a_stranger_with_the_same_number_is_never_signalled(
    engine: LocalEngine, root: Path, instance: str, stranger: subprocess.Popen[bytes]
) -> None:
    stat = read_stat(stranger.pid)
    assert stat is not None
    write_started(root, instance, pid=stranger.pid, started=stat.started - 1)
    sight = engine.look(RUN)
    assert (sight.alive, sight.tree_gone, sight.host_restarted) == (False, True, False)
    assert engine.kill(RUN)
    assert stranger.poll() is None


def test_f21_another_boot_is_proof_that_all_is_gone(
    engine: LocalEngine, root: Path, instance: str, stranger: subprocess.Popen[bytes]
) -> None:
    stat = read_stat(stranger.pid)
    assert stat is not None
    write_started(root, instance, pid=stranger.pid, started=stat.started)
    later = LocalEngine(root, instance=instance, boot_id=lambda: "another-boot")
    sight = later.look(RUN)
    assert (sight.alive, sight.host_restarted, sight.tree_gone) == (False, True, True)
    assert later.kill(RUN)
    assert stranger.poll() is None


def test_an_unreadable_process_table_proves_nothing(
    engine: LocalEngine, root: Path, instance: str, tmp_path: Path
) -> None:
    engine.launch(order(RUN, tmp_path, script("stubborn")))
    blind = LocalEngine(root, instance=instance, table=ProcessTable(instance, str(tmp_path / "0")))
    sight = blind.look(RUN)
    assert (sight.alive, sight.exit, sight.tree_gone) == (None, None, False)
    assert blind.owned() == set()


def test_f23_what_cannot_be_started_is_said_at_once_and_leaves_no_process(
    engine: LocalEngine, tmp_path: Path
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
            engine.launch(order(run_id, workdir, argv))
        until(lambda run_id=run_id: engine.look(run_id).tree_gone, "the supervisor's end")
    assert engine.owned() == set()


def test_f23_a_supervisor_that_cannot_run_is_a_failed_launch(
    root: Path, instance: str, tmp_path: Path
) -> None:
    engine = LocalEngine(root, instance=instance, python="/bin/false")
    with pytest.raises(LaunchFailed, match="supervisor ended before"):
        engine.launch(order(RUN, tmp_path, ["/bin/true"]))


def test_f23_a_stop_while_the_setup_runs_fails_the_launch(
    engine: LocalEngine, root: Path, tmp_path: Path
) -> None:
    setup = shell("kill $PPID; sleep 60")
    with pytest.raises(LaunchFailed, match="setup command was stopped"):
        engine.launch(order(RUN, tmp_path, shell("touch ran"), setup=setup))
    assert not (tmp_path / "ran").exists()


def test_f24_an_agent_that_waits_for_input_gets_its_end(
    engine: LocalEngine, ears: Ears, tmp_path: Path
) -> None:
    engine.launch(order(RUN, tmp_path, shell("read x; echo got $?; tty; exit 0")))
    engine.watch(RUN)
    ears.wait_for(RUN, "gone")
    assert engine.log(RUN).read().content == b"got 1\nnot a tty\n"


def test_f25_a_flood_is_capped_and_costs_no_memory(
    engine: LocalEngine, ears: Ears, root: Path, tmp_path: Path
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    text = "head -c 200000000 /dev/zero; exit 9"
    engine.launch(order(RUN, tmp_path, shell(text), log_cap_bytes=1_000_000))
    engine.watch(RUN)
    ears.wait_for(RUN, "gone")
    sight = engine.look(RUN)
    assert sight.exit is not None
    assert sight.exit.code == 9
    log = engine.log(RUN)
    assert (log.size, log.is_cut) == (200_000_000, True)
    assert len(log.read().content) < 1_000_100
    assert sum(path.stat().st_size for path in (root / RUN).iterdir()) < 1_010_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_f26_one_line_of_ten_megabytes_is_kept_whole(
    engine: LocalEngine, ears: Ears, tmp_path: Path
) -> None:
    size = 10_000_000
    argv = script("floods", size, "one-line")
    engine.launch(order(RUN, tmp_path, argv, log_cap_bytes=50_000_000))
    engine.watch(RUN)
    ears.wait_for(RUN, "gone")
    log = engine.log(RUN)
    assert (log.size, log.is_cut) == (size + 1, False)
    assert log.read(size - 2).content == b"xx\n"


def test_f27_a_disk_that_refuses_the_log_neither_holds_nor_ends_the_agent(
    engine: LocalEngine, root: Path, instance: str, tmp_path: Path
) -> None:
    root.mkdir()
    # no file may grow over 8 KiB: a write is refused as on a full disk
    limited = f"ulimit -f 8; exec {sys.executable} -c '{APP_THAT_IS_KILLED}' \"$@\""
    text = "yes 0123456 | head -c 1000000; exit 3"
    argv = ["/bin/bash", "-c", limited, "bash", str(root), instance, text]
    subprocess.run(argv, cwd=ROOT)
    until(lambda: engine.look(RUN).tree_gone, "the end")
    sight = engine.look(RUN)
    assert sight.exit is not None
    assert sight.exit.code == 3
    log = engine.log(RUN)
    assert log.is_cut
    assert log.read(0, 16).content == b"0123456\n0123456\n"


def test_f31_the_budget_is_counted_by_the_boot_clock(
    engine: LocalEngine, ears: Ears, tmp_path: Path
) -> None:
    begin = clock_gettime(CLOCK_BOOTTIME)
    engine.launch(order(RUN, tmp_path, shell("sleep 60"), budget_seconds=0.5))
    engine.watch(RUN)
    ears.wait_for(RUN, "exit")
    assert 0.5 <= clock_gettime(CLOCK_BOOTTIME) - begin < 3


@pytest.mark.soak
@pytest.mark.parametrize("days", [1, -1])
def test_f31_a_clock_that_jumps_ends_no_run(engine: LocalEngine, tmp_path: Path, days: int) -> None:
    engine.launch(order(RUN, tmp_path, script("stubborn"), budget_seconds=30))
    subprocess.run(["/bin/date", "-s", f"{days} day"], check=True, stdout=subprocess.DEVNULL)
    try:
        engine.launch(order("run_c0002", tmp_path, shell("sleep 1")))
        until(lambda: engine.look("run_c0002").tree_gone, "the other run's end")
        assert engine.look(RUN).alive
        assert engine.look(RUN).exit is None
    finally:
        subprocess.run(["/bin/date", "-s", f"{-days} day"], check=True, stdout=subprocess.DEVNULL)


JUNK = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b"[" * 60_000,
    b" " * 70_000,
    b'{"pid": true, "started": 1}',
    b'{"code": "0", "signal": null, "reason": "exited", "at": "2026-01-01T00:00:00Z"}',
    b'{"code": 0, "signal": 9, "reason": "exited", "at": "2026-01-01T00:00:00Z"}',
    b'{"code": 0, "signal": null, "reason": "delivered", "at": "2026-01-01T00:00:00Z"}',
    b'{"code": 0, "signal": null, "reason": "exited", "at": "2026-01-01T00:00:00"}',
    b'{"code": 0, "signal": null, "reason": "exited", "at": 5}',
    b'{"code": 1e999, "signal": null, "reason": ["exited"], "at": null}',
]


@pytest.mark.parametrize("junk", JUNK, ids=lambda junk: repr(junk[:30]))
def test_a33_junk_in_a_record_reads_as_no_record(
    engine: LocalEngine, root: Path, junk: bytes
) -> None:
    (root / RUN).mkdir(parents=True)
    for name in ("started", "exit", "gone"):
        (root / RUN / name).write_bytes(junk)
    sight = engine.look(RUN)
    assert (sight.alive, sight.exit, sight.mark, sight.tree_gone) == (False, None, None, True)
    assert engine.kill(RUN)


def test_a33_links_and_pipes_in_a_run_folder_are_not_followed(
    engine: LocalEngine, root: Path, tmp_path: Path
) -> None:
    good = {"code": 0, "signal": None, "reason": "exited", "at": "2026-01-01T00:00:00Z"}
    (tmp_path / "elsewhere").write_text(json.dumps(good))
    (root / RUN).mkdir(parents=True)
    (root / RUN / "exit").symlink_to(tmp_path / "elsewhere")
    (root / RUN / "log").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(root / RUN / "started")
    (root / RUN / "gone").mkdir()
    (root / RUN / "tail.5").symlink_to("/dev/zero")
    assert engine.look(RUN).exit is None
    assert engine.log(RUN).read().content == b""
    (root / "run_c0002").symlink_to(tmp_path)
    (tmp_path / "exit").write_text(json.dumps(good))
    assert engine.look("run_c0002").exit is None


def test_a33_a_folder_swapped_during_a_run_leads_no_write_elsewhere(
    engine: LocalEngine, ears: Ears, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "victim").mkdir()
    mark = engine.launch(order(RUN, tmp_path, script("stubborn")))
    ears.wait_for_text(RUN, b"ready")
    (root / RUN).rename(root / "moved")
    (root / RUN).symlink_to(tmp_path / "victim")
    os.kill(mark.pid, signal.SIGTERM)
    ears.wait_for(RUN, "gone")
    assert list((tmp_path / "victim").iterdir()) == []


def test_a43_an_exit_made_up_by_a_living_agent_is_not_believed(
    engine: LocalEngine, root: Path, tmp_path: Path
) -> None:
    engine.launch(order(RUN, tmp_path, script("stubborn")))
    good = {"code": 0, "signal": None, "reason": "exited", "at": "2026-01-01T00:00:00Z"}
    for name in ("exit", "gone"):
        (root / RUN / name).write_text(json.dumps(good))
    sight = engine.look(RUN)
    assert (sight.alive, sight.exit, sight.tree_gone) == (True, None, False)


def test_the_records_of_another_run_are_not_taken_for_this_one(
    engine: LocalEngine, root: Path, instance: str, stranger: subprocess.Popen[bytes]
) -> None:
    stat = read_stat(stranger.pid)
    assert stat is not None
    for run_id, owner in (("run_c0002", instance), (RUN, "another")):
        write_started(root, owner, pid=stranger.pid, started=stat.started, run_id=run_id)
        assert engine.look(RUN).mark is None
        assert engine.kill(RUN)
