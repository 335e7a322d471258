"""Named points where a test can kill, hold or delay the program; no effect outside tests.

The environment is read once, when the program starts. With `RUNYARD_TEST=1`,
`RUNYARD_FAILPOINT=name:kill9|raise|sleep[:seconds]` acts at a point, and
`RUNYARD_RACEPOINT=name:file` holds every thread that reaches it until that file appears
(HELD_SECONDS at most).
"""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

HELD_SECONDS = 60.0
SLEEP_SECONDS = 5.0
LOOK_SECONDS = 0.005


class FailpointHit(Exception):
    """The failure that a test asked for at a failpoint."""


# what to do at each point that a test chose; empty in every other program
_acts: dict[str, list[Callable[[], None]]] = {}


def set_failpoints(environment: Mapping[str, str]) -> None:
    """Read the points from the environment, in place of those that were set before.

    Raises ValueError for an unknown action.
    """
    _acts.clear()
    if environment.get("RUNYARD_TEST") != "1":
        return
    name, _, file = environment.get("RUNYARD_RACEPOINT", "").partition(":")
    if name:
        _acts.setdefault(name, []).append(partial(_hold, Path(file)))
    name, _, action = environment.get("RUNYARD_FAILPOINT", "").partition(":")
    if name:
        _acts.setdefault(name, []).append(_action_of(name, action))


def failpoint(name: str) -> None:
    """Mark a named point. Raises FailpointHit if a test asked for it."""
    for act in _acts.get(name, ()):
        act()


def _action_of(name: str, action: str) -> Callable[[], None]:
    word, _, seconds = action.partition(":")
    match word:
        case "kill9":
            return _kill
        case "raise":
            return partial(_fail, name)
        case "sleep":
            return partial(time.sleep, float(seconds or SLEEP_SECONDS))
    raise ValueError(f"no failpoint action is called {word!r}")


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _fail(name: str) -> None:
    raise FailpointHit(name)


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
