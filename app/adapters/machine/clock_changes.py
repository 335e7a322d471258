"""Detects that the machine's clock was set, or that the machine was suspended."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import struct
import threading
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger()
_TFD_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_ABSOLUTE_AND_CANCELLED_ON_SET = 1 | 2
_FAR_AHEAD = 1 << 33


class ClockChanges:
    """A thread that blocks on a timer until the wall clock jumps, then calls `on_change`."""

    def __init__(self, on_change: Callable[[], object]) -> None:
        self._on_change = on_change
        self._thread: threading.Thread | None = None
        self._timer = self._wake = -1

    def start(self) -> None:
        """Start the thread; without kernel support nothing is reported, and a warning is logged."""
        with contextlib.ExitStack() as opened:
            try:
                self._timer = _open_timer()
                opened.callback(os.close, self._timer)
                self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
                opened.callback(os.close, self._wake)
            except OSError as problem:
                log.warning("clock_changes_not_watched", because=problem)
                return
            thread = threading.Thread(target=self._listen, name="clock-changes", daemon=True)
            thread.start()
            self._thread, self._files = thread, opened.pop_all()

    def stop(self) -> None:
        """Stop the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            os.eventfd_write(self._wake, 1)
            thread.join()
            self._files.close()

    def _listen(self) -> None:
        waiting = select.poll()
        for file in (self._timer, self._wake):
            waiting.register(file, select.POLLIN)
        while self._wake not in {file for file, _ in waiting.poll()}:
            # after a clock change the read fails with ECANCELED and the timer stays armed
            with contextlib.suppress(OSError):
                os.read(self._timer, 8)
            try:
                self._on_change()
            except Exception:
                log.exception("clock_change_failed")


def _open_timer() -> int:
    """Create a timer that never expires but is canceled when the clock is set. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    timer = libc.timerfd_create(time.CLOCK_REALTIME, _TFD_NONBLOCK_CLOEXEC)
    never = struct.pack("@4l", 0, 0, int(time.time()) + _FAR_AHEAD, 0)
    if timer < 0:
        raise OSError(ctypes.get_errno(), "timerfd")
    if libc.timerfd_settime(timer, _ABSOLUTE_AND_CANCELLED_ON_SET, never, None) != 0:
        problem = OSError(ctypes.get_errno(), "timerfd")
        os.close(timer)
        raise problem
    return timer
