"""Named points where a test can kill, hold or delay the program; no effect outside tests.

With `RUNYARD_TEST=1`, `RUNYARD_FAILPOINT=name:kill9|raise|sleep[:seconds]` acts at a point, and
`RUNYARD_RACEPOINT=name:file` holds every thread that reaches it until that file appears
(HELD_SECONDS at most).
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
    """The failure that a test asked for at a failpoint."""


def reach(point: str) -> None:
    """Mark a named point. Raises FailpointHit if a test asked for it."""
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
    """Report the arrival by creating `<file>.reached.<n>`, then wait for `file`."""
    for number in itertools.count():
        try:
            file.with_name(f"{file.name}.reached.{number}").touch(exist_ok=False)
        except FileExistsError:
            continue
        break
    end = time.monotonic() + HELD_SECONDS
    while not file.exists() and time.monotonic() < end:
        time.sleep(LOOK_SECONDS)
