"""The time now, which a test may shift; nothing of that at all in any other run."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

_NONE = timedelta()


def wall_clock() -> datetime:
    """The time now, UTC.

    With `RUNYARD_TEST=1`, `RUNYARD_TEST_CLOCK=<file>` names a file that says by how many seconds
    this clock is ahead (or, below zero, behind); it is read at each call and need not exist.
    """
    return datetime.now(UTC) + _shift()


def slip() -> float:
    """By how many seconds the wall clock is ahead of the one that stands still while all sleeps.

    It grows where the machine slept or its clock was set, and by nothing else.
    """
    return datetime.now(UTC).timestamp() - monotonic()


def _shift() -> timedelta:
    if os.environ.get("RUNYARD_TEST") != "1" or not os.environ.get("RUNYARD_TEST_CLOCK"):
        return _NONE
    try:
        return timedelta(seconds=float(Path(os.environ["RUNYARD_TEST_CLOCK"]).read_text()))
    except FileNotFoundError:
        return _NONE
