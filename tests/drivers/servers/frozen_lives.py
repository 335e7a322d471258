"""A server that is frozen again and again, and its databases copied each time (F41).

Run as a program: folder, seed, number of moments, URL of a run store or nothing. Each moment is
a folder `cut<n>` with the databases, their logs at that length, and the notes of that moment.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from tests.drivers.servers.killed_lives import live

LOG = "-wal"


def main(folder: Path, seed: int, moments: int, runs: str | None) -> None:
    """Run one server, and copy its files from disk at this many moments."""
    dice = random.Random(seed)
    heard, tell = os.pipe()
    child = os.fork()
    if not child:
        live(folder, runs, random.Random(seed), tell)
    os.close(tell)
    pace = 0.0
    for number in range(moments):
        begun_at = time.monotonic()
        if not os.read(heard, 1):
            sys.exit("a server ended by itself")
        pace = time.monotonic() - begun_at or pace
        time.sleep(dice.uniform(0, pace))
        os.kill(child, signal.SIGSTOP)
        _wait_until_frozen(child)
        _copy(folder, folder / f"cut{number}")
        os.kill(child, signal.SIGCONT)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _wait_until_frozen(child: int) -> None:
    # a thread in the middle of a write finishes the write before it stops
    _, status = os.waitpid(child, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        sys.exit("a server ended by itself")


def _copy(folder: Path, cut: Path) -> None:
    cut.mkdir()
    # the shared-memory index is not durable: a power cut loses it
    lost = shutil.ignore_patterns("*-shm")
    for part in ("data", "run-store"):
        # the whole folder, because the server's identity is stored beside the databases
        if (folder / part).exists():
            shutil.copytree(folder / part, cut / part, ignore=lost)
    shutil.copy(folder / "notes", cut / "notes")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] or None)
