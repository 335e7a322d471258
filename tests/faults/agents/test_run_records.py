"""False, foreign or outdated run records (faults.md F20, F21; attacks.md A33, A43)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.adapters.engine.processes import ProcessTable
from app.adapters.supervisor.kernel import read_boot_id, read_stat
from tests.fakes.agents.runs import RUN, Ears, KeepingEngine, order, script, shell


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


def test_f20_a_stranger_with_the_same_number_is_never_signalled(
    engine: KeepingEngine, root: Path, instance: str, stranger: subprocess.Popen[bytes]
) -> None:
    stat = read_stat(stranger.pid)
    assert stat is not None
    write_started(root, instance, pid=stranger.pid, started=stat.started - 1)
    sight = engine.see(RUN)
    # a dead supervisor does not prove that its descendants are gone
    assert (sight.alive, sight.tree_gone, sight.host_restarted) == (False, False, False)
    assert not engine.end(RUN)
    assert stranger.poll() is None


def test_f21_another_boot_is_proof_that_all_is_gone(
    engine: KeepingEngine, root: Path, instance: str, stranger: subprocess.Popen[bytes]
) -> None:
    stat = read_stat(stranger.pid)
    assert stat is not None
    write_started(root, instance, pid=stranger.pid, started=stat.started)
    later = KeepingEngine(root, instance=instance, boot_id=lambda: "another-boot")
    sight = later.see(RUN)
    assert (sight.alive, sight.host_restarted, sight.tree_gone) == (False, True, True)
    assert later.end(RUN)
    assert stranger.poll() is None


def test_an_unreadable_process_table_proves_nothing(
    engine: KeepingEngine, root: Path, instance: str, tmp_path: Path
) -> None:
    engine.start(order(RUN, tmp_path, script("stubborn")))
    blind = KeepingEngine(
        root, instance=instance, table=ProcessTable(instance, str(tmp_path / "0"))
    )
    sight = blind.see(RUN)
    assert (sight.alive, sight.exit, sight.tree_gone) == (None, None, False)
    assert blind.owned() == set()


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
def test_a33_junk_in_a_record_reads_as_no_record_and_proves_nothing(
    engine: KeepingEngine, root: Path, junk: bytes
) -> None:
    (root / RUN).mkdir(parents=True)
    for name in ("started", "exit", "gone"):
        (root / RUN / name).write_bytes(junk)
    sight = engine.see(RUN)
    assert (sight.alive, sight.exit, sight.mark, sight.tree_gone) == (False, None, None, False)
    assert not engine.end(RUN)


def test_a33_links_and_pipes_in_a_run_folder_are_not_followed(
    engine: KeepingEngine, root: Path, tmp_path: Path
) -> None:
    good = {"code": 0, "signal": None, "reason": "exited", "at": "2026-01-01T00:00:00Z"}
    (tmp_path / "elsewhere").write_text(json.dumps(good))
    (root / RUN).mkdir(parents=True)
    (root / RUN / "exit").symlink_to(tmp_path / "elsewhere")
    (root / RUN / "log").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(root / RUN / "started")
    (root / RUN / "gone").mkdir()
    (root / RUN / "tail.5").symlink_to("/dev/zero")
    assert engine.see(RUN).exit is None
    assert engine.log(RUN).read().content == b""
    (root / "run_c0002").symlink_to(tmp_path)
    (tmp_path / "exit").write_text(json.dumps(good))
    assert engine.see("run_c0002").exit is None


def test_a33_a_folder_swapped_during_a_run_leads_no_write_elsewhere(
    engine: KeepingEngine, ears: Ears, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "victim").mkdir()
    mark = engine.start(order(RUN, tmp_path, script("stubborn")))
    ears.wait_for_text(RUN, b"ready")
    (root / RUN).rename(root / "moved")
    (root / RUN).symlink_to(tmp_path / "victim")
    os.kill(mark.pid, signal.SIGTERM)
    ears.wait_for(RUN, "gone")
    assert list((tmp_path / "victim").iterdir()) == []


def test_a43_an_exit_made_up_by_a_living_agent_is_not_believed(
    engine: KeepingEngine, root: Path, tmp_path: Path
) -> None:
    engine.start(order(RUN, tmp_path, script("stubborn")))
    good = {"code": 0, "signal": None, "reason": "exited", "at": "2026-01-01T00:00:00Z"}
    for name in ("exit", "gone"):
        (root / RUN / name).write_text(json.dumps(good))
    sight = engine.see(RUN)
    assert (sight.alive, sight.exit, sight.tree_gone) == (True, None, False)


def test_what_proves_a_last_record_is_nowhere_before_that_record_is_written(
    engine: KeepingEngine, ears: Ears, root: Path, tmp_path: Path
) -> None:
    mark = engine.start(order(RUN, tmp_path, script("stubborn")))
    ears.wait_for_text(RUN, b"ready")
    places = [*(root / RUN).iterdir(), Path(f"/proc/{mark.pid}/cmdline")]
    seen = b"".join(place.read_bytes() for place in places)
    assert engine.end(RUN)
    last, gone = (json.loads((root / RUN / name).read_text()) for name in ("exit", "gone"))
    assert len({last["proof"], gone["proof"]}) == 2
    for word in (last["proof"], gone["proof"]):
        assert len(word) == 64
        assert word.encode() not in seen
        assert word not in json.dumps(engine.kept(RUN))


@pytest.mark.parametrize("forged", [{}, {"proof": "0" * 64}, {"proof": 5}, {"proof": "from exit"}])
def test_a_last_record_without_its_proof_is_not_believed_of_a_supervisor_that_is_no_more(
    engine: KeepingEngine, ears: Ears, root: Path, tmp_path: Path, forged: dict[str, Any]
) -> None:
    engine.start(order(RUN, tmp_path, shell("exit 3")))
    engine.follow(RUN)
    ears.wait_for(RUN, "gone")
    assert engine.see(RUN).tree_gone
    is_of_exit = forged.get("proof") == "from exit"
    if is_of_exit:
        forged = {"proof": json.loads((root / RUN / "exit").read_text())["proof"]}
    (root / RUN / "gone").write_text(json.dumps({"at": "2026-01-01T00:00:00Z", **forged}))
    assert not engine.see(RUN).tree_gone
    good = {"code": 0, "signal": None, "reason": "exited", "at": "2026-01-01T00:00:00Z"}
    if not is_of_exit:
        (root / RUN / "exit").write_text(json.dumps({**good, **forged}))
        assert engine.see(RUN).exit is None


def test_the_last_records_of_a_run_that_an_older_server_began_are_believed_as_then(
    engine: KeepingEngine, ears: Ears, root: Path, tmp_path: Path
) -> None:
    engine.start(order(RUN, tmp_path, shell("exit 3")))
    engine.follow(RUN)
    ears.wait_for(RUN, "gone")
    kept = dict(engine.kept(RUN) or {})
    del kept["seal"]
    engine.keep(RUN, kept)
    (root / RUN / "gone").write_text(json.dumps({"at": "2026-01-01T00:00:00Z"}))
    assert engine.see(RUN).tree_gone


def test_the_records_of_another_run_are_not_taken_for_this_one(
    engine: KeepingEngine, root: Path, instance: str, stranger: subprocess.Popen[bytes]
) -> None:
    stat = read_stat(stranger.pid)
    assert stat is not None
    for run_id, owner in (("run_c0002", instance), (RUN, "another")):
        write_started(root, owner, pid=stranger.pid, started=stat.started, run_id=run_id)
        assert engine.see(RUN).mark is None
        assert not engine.end(RUN)
