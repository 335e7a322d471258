"""The agent's output on disk: its beginning in `log`, its end in files `tail.<position>`."""

from __future__ import annotations

import errno
import os
import stat
from collections import deque

from app.adapters.supervisor.times import TimeMarks
from app.domain.secret_masks import MaskStream, SecretMask

HEAD = "log"
TAIL_PREFIX = "tail."
TAIL_FILES = 4
_FULL = (errno.ENOSPC, errno.EDQUOT)
_LAST_BYTES = 4096
_NO_ROOM = os.strerror(errno.ENOSPC).encode("ascii", "replace").lower()
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MORE = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class CappedLog:
    """Keeps at most `cap` bytes of a stream: half from its beginning, the rest from its end.

    A file holds consecutive bytes; a tail's name gives its position in the stream. Bytes that the
    disk refuses are dropped, like those above the cap: the writer never blocks and never fails.
    `is_disk_full` is True if the latest bytes were refused for lack of space, `says_disk_full` if
    the latest output reports such an error. Secrets never reach the disk: `mask` replaces them with
    dots, and bytes that may begin one are held back until more arrive. A log that an earlier step
    of the run has left is continued. The file `times` tells when the output arrived.
    """

    def __init__(self, folder: int, cap: int, mask: SecretMask | None = None) -> None:
        self._folder = folder
        self._times = TimeMarks(folder)
        self._masked = MaskStream(mask or SecretMask())
        self._tail_size = max(1, cap // (2 * TAIL_FILES))
        self._tails: deque[str] = deque()
        self._position = 0
        self._file = -1
        self._written = 0
        self._room = max(1, cap // 2)
        self.is_disk_full = False
        self._last = b""
        if not self._resume():
            self._open(HEAD)

    def begin(self, label: str) -> int:
        """Write the line with which a step begins, if any; return the step's position."""
        if label:
            self._keep(memoryview(f"--- {label} ---\n".encode(errors="replace")))
        return self._position

    @property
    def last(self) -> bytes:
        """The end of the output, at most 4,096 bytes."""
        return self._last

    @property
    def says_disk_full(self) -> bool:
        """True if the end of the output contains the error message of a full disk."""
        return _NO_ROOM in self._last.lower()

    def write(self, data: bytes) -> None:
        """Keep `data`, or drop it if the disk refuses it."""
        self._last = (self._last + data[-_LAST_BYTES:])[-_LAST_BYTES:]
        self._keep(self._masked.take(data))

    def close(self) -> None:
        """Write what was held back, and close the file."""
        self._keep(self._masked.end())
        self._close_file()
        self._times.close()

    def _resume(self) -> bool:
        """Continue what an earlier step wrote; return False if there is nothing."""
        found = [(HEAD, 0)]
        for name in os.listdir(self._folder):
            place = name.removeprefix(TAIL_PREFIX)
            if place != name and place.isascii() and place.isdecimal() and len(place) < 19:
                found.append((name, int(place)))
        found.sort(key=lambda one: one[1])
        self._tails.extend(name for name, _ in found[1:])
        name, begin = found[-1]
        try:
            self._file = os.open(name, _MORE, dir_fd=self._folder)
            seen = os.fstat(self._file)
        except OSError:
            if name == HEAD:
                return False
            # the next write begins a file of its own, as where the disk refuses one
            self._position, self._room = begin, 0
            return True
        if not stat.S_ISREG(seen.st_mode):
            self._close_file()
            return False
        size = self._room if name == HEAD else self._tail_size
        self._written = seen.st_size
        self._position = begin + seen.st_size
        self._room = max(0, size - seen.st_size)
        self._end_line()
        return True

    def _end_line(self) -> None:
        if self._written and os.pread(self._file, 1, self._written - 1) != b"\n":
            self._keep(memoryview(b"\n"))

    def _keep(self, data: bytes | memoryview) -> None:
        rest = memoryview(data)
        if rest:
            self._times.note(self._position)
        while rest:
            if self._room == 0 or self._file < 0:
                self._begin_tail()
            part = rest[: self._room]
            rest = rest[len(part) :]
            self._put(part)

    def _close_file(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _put(self, part: memoryview) -> None:
        while part and self._file >= 0:
            try:
                count = os.write(self._file, part)
            except OSError as refused:
                self.is_disk_full = refused.errno in _FULL
                self._give_up_file()
                break
            self.is_disk_full = False
            part = part[count:]
            self._position += count
            self._written += count
            self._room -= count
        self._position += len(part)

    def _give_up_file(self) -> None:
        self._close_file()
        if self._written == 0 and self._tails:
            self._remove(self._tails.pop())

    def _begin_tail(self) -> None:
        self._close_file()
        name = f"{TAIL_PREFIX}{self._position}"
        self._room = self._tail_size
        if self._open(name):
            self._tails.append(name)
        if len(self._tails) > TAIL_FILES:
            self._remove(self._tails.popleft())

    def _open(self, name: str) -> bool:
        self._written = 0
        try:
            self._file = os.open(name, _NEW, 0o600, dir_fd=self._folder)
        except OSError as refused:
            self.is_disk_full = refused.errno in _FULL
            return False
        return True

    def _remove(self, name: str) -> None:
        try:
            os.unlink(name, dir_fd=self._folder)
        except OSError:
            return
