"""Times of the agent's output on disk: the file `times` beside the log."""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import suppress

# stands in for typing.TYPE_CHECKING: importing typing would take half as long as all the rest
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

TIMES = "times"
POSITION_DIGITS, SECONDS_DIGITS = 20, 10
# a position, a blank, seconds since 1970 and a line end
MARK_BYTES = POSITION_DIGITS + SECONDS_DIGITS + 2
MOST_MARKS = 16384
_NEXT = f".{TIMES}"
_OPEN = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class TimeMarks:
    """Marks when output arrived, at most once per second and `most` times in all.

    A mark is a line of fixed length, so that one cut short by a kill is overwritten by the next.
    Once the file is full every second mark is dropped, and new ones are twice as far apart. Marks
    that the disk refuses are dropped: the writer never blocks and never fails.
    """

    def __init__(
        self, folder: int, clock: Callable[[], float] = time.time, most: int = MOST_MARKS
    ) -> None:
        self._folder, self._clock, self._most = folder, clock, most
        self._file = -1
        self._count = 0
        self._apart = 1
        self._last = -1

    def note(self, position: int) -> None:
        """Mark that the output from `position` on arrives now, unless the last mark is as new."""
        now = int(self._clock())
        # a clock that was set back begins a new mark, too
        if (self._last >= 0 and abs(now - self._last) < self._apart) or not 0 <= now < 10**10:
            return
        with suppress(OSError):
            self._write(b"%0*d %0*d\n" % (POSITION_DIGITS, position, SECONDS_DIGITS, now))
            self._last = now

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _write(self, mark: bytes) -> None:
        if self._file < 0:
            self._open()
        if self._count >= self._most:
            self._thin()
        _write_all(self._file, mark, self._count * MARK_BYTES)
        self._count += 1

    def _open(self) -> None:
        file = os.open(TIMES, _OPEN, 0o600, dir_fd=self._folder)
        seen = os.fstat(file)
        if not stat.S_ISREG(seen.st_mode):
            os.close(file)
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._file, self._count = file, seen.st_size // MARK_BYTES

    def _thin(self) -> None:
        content = os.pread(self._file, self._most * MARK_BYTES, 0)
        begins = range(0, len(content), 2 * MARK_BYTES)
        kept = b"".join(content[begin : begin + MARK_BYTES] for begin in begins)
        with suppress(FileNotFoundError):
            os.unlink(_NEXT, dir_fd=self._folder)
        file = os.open(_NEXT, _NEW, 0o600, dir_fd=self._folder)
        try:
            _write_all(file, kept, 0)
            os.rename(_NEXT, TIMES, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except OSError:
            os.close(file)
            raise
        self.close()
        self._file, self._count = file, len(kept) // MARK_BYTES
        self._apart *= 2


def _write_all(file: int, content: bytes, position: int) -> None:
    if os.pwrite(file, content, position) != len(content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
