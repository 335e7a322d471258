"""Named points where a test may end, hold or delay the program; nothing at all in any other run.

With `RUNYARD_TEST=1`, `RUNYARD_FAILPOINT=name:kill9|raise|sleep[:seconds]` acts at a point, and
`RUNYARD_RACEPOINT=name:file` holds whoever comes there until that file appears.
"""

from __future__ import annotations

import itertools
import os
import signal
import time
from pathlib import Path

HELD_SECONDS = 60.0
SLEEP_SECONDS = 5.0
LOOK_SECONDS = 0.005


class FailpointHit(Exception):
    """A test wants a failure here."""


def reach(point: str) -> None:
    """Come to a named point. Raises FailpointHit where a test wants it so."""
    if os.environ.get("RUNYARD_TEST") != "1":
        return
    name, _, file = os.environ.get("RUNYARD_RACEPOINT", "").partition(":")
    if name == point:
        _hold(Path(file))
    name, _, action = os.environ.get("RUNYARD_FAILPOINT", "").partition(":")
    if name == point:
        _act(point, action)


def _act(point: str, action: str) -> None:
    word, _, seconds = action.partition(":")
    if word == "kill9":
        os.kill(os.getpid(), signal.SIGKILL)
    elif word == "raise":
        raise FailpointHit(point)
    elif word == "sleep":
        time.sleep(float(seconds or SLEEP_SECONDS))
    else:
        raise ValueError(f"no failpoint action is called {word!r}")


def _hold(file: Path) -> None:
    """Say that somebody is held (`<file>.reached.<n>`), and wait for the file."""
    for number in itertools.count():
        try:
            file.with_name(f"{file.name}.reached.{number}").touch(exist_ok=False)
        except FileExistsError:
            continue
        break
    end = time.monotonic() + HELD_SECONDS
    while not file.exists() and time.monotonic() < end:
        time.sleep(LOOK_SECONDS)
