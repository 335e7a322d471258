"""What a server leaves behind when it ends: adopted by this process, and ended."""

from __future__ import annotations

import ctypes
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

TERM_SECONDS = 3.0
KILL_SECONDS = 10.0
_LOOK_SECONDS = 0.05
_PR_SET_CHILD_SUBREAPER = 36


@contextmanager
def ending_orphans() -> Iterator[None]:
    """End every process begun below this one meanwhile, whoever began it and died.

    A number cannot become somebody else's before its end is collected here.
    """
    import psutil  # a third of the time to the first word, and only the demo needs it

    here = psutil.Process()
    before = set(here.children(recursive=True))
    _adopt_orphans(True)
    try:
        yield
    finally:
        _end_all(lambda: [one for one in here.children(recursive=True) if one not in before])
        _adopt_orphans(False)


def _end_all(find: Callable[[], list[psutil.Process]]) -> None:
    for number, seconds in ((signal.SIGTERM, TERM_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
        give_up_at = time.monotonic() + seconds
        told: set[psutil.Process] = set()
        # asked again each time: what was just ended may have begun, or left, another
        while (found := find()) and time.monotonic() < give_up_at:
            for one in set(found) - told:
                _send(one, number)
            told.update(found)
            _collect(found)


def _send(process: psutil.Process, number: signal.Signals) -> None:
    import psutil

    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        process.send_signal(number)


def _collect(processes: list[psutil.Process]) -> None:
    import psutil

    psutil.wait_procs(processes, timeout=_LOOK_SECONDS)


def _adopt_orphans(wanted: bool) -> None:
    # where there is no such thing, children are found as long as their parents live
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(wanted), 0, 0, 0)
