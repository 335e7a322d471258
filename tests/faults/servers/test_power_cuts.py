"""A power cut: whichever tail of the log is lost, every accepted run is there (F41)."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.builders.databases import SQLITE, run_store
from tests.drivers.servers.frozen_lives import LOG
from tests.drivers.servers.killed_lives import check_lives, notes_of
from tests.drivers.servers.processes import ROOT

SEED = 20_261_121
HEADER, FRAME_HEADER = 32, 24


def last_commits(log: Path) -> tuple[int, int]:
    """Return the byte offsets at which a write-ahead log's last transaction begins and ends."""
    content = log.read_bytes() if log.exists() else b""
    if len(content) < HEADER:
        return 0, 0
    size = FRAME_HEADER + int.from_bytes(content[8:12], "big")
    begin = end = HEADER
    for at in range(HEADER, len(content) - size + 1, size):
        is_of_this_log = content[at + 8 : at + 16] == content[16:24]
        if not is_of_this_log:
            break
        if int.from_bytes(content[at + 4 : at + 8], "big"):
            begin, end = end, at + size
    return begin, end


def runs_in(files: list[Path]) -> set[str]:
    """Assert that the databases are sound; return the ids of all runs in them."""
    found: set[str] = set()
    for file in files:
        with closing(sqlite3.connect(file)) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            found |= {row[0] for row in database.execute("SELECT id FROM runs")}
    return found


def cut_logs(cut: Path, copy: Path, dice: random.Random, *, in_last: bool) -> list[Path]:
    """Copy the databases of a moment, each log cut beyond what the disk had synced.

    `in_last` tears the last transaction itself, as if its sync had not finished.
    """
    shutil.copytree(cut, copy)
    files = sorted(copy.glob("*/*.db"))
    for file in files:
        log = file.with_name(file.name + LOG)
        begin, end = last_commits(log)
        if log.exists():
            size = log.stat().st_size
            torn = dice.randrange(begin, end + 1) if in_last else dice.randrange(end, size + 1)
            junk = dice.randbytes(dice.randrange(5000))
            log.write_bytes(log.read_bytes()[:torn] + junk)
    return files


@pytest.mark.parametrize("stores", [pytest.param(1, marks=pytest.mark.soak), 2])
@pytest.mark.parametrize("moments", [1, pytest.param(60, marks=pytest.mark.soak)])
def test_f41_what_was_said_to_be_accepted_is_there_after_a_power_cut(
    stores: int, moments: int, tmp_path: Path
) -> None:
    runs = run_store(tmp_path, SQLITE) if stores == 2 else ""
    words = [sys.executable, "-m", "tests.drivers.servers.frozen_lives"]
    words += [str(tmp_path), str(SEED), str(moments), runs]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    dice, told = random.Random(SEED), set[str]()
    for number in range(moments):
        cut = tmp_path / f"cut{number}"
        told = {line.split()[2] for line in notes_of(cut) if line.startswith("told")}
        for place in range(3):
            copy = tmp_path / f"copy{number}-{place}"
            files = cut_logs(cut, copy, dice, in_last=place == 0)
            assert len(files) == stores
            found = runs_in(files)
            assert place == 0 or told <= found
        # a server starts on it as after any other end
        if number == moments - 1:
            whole = tmp_path / "whole"
            cut_logs(cut, whole, dice, in_last=False)
            check_lives(whole, run_store(whole, SQLITE) if stores == 2 else None)
    assert told, "nothing was accepted"
