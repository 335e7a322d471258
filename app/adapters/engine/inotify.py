"""Changes in folders, told by the kernel."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from pathlib import Path

MODIFIED = 0x00000002
MOVED_HERE = 0x00000080
CREATED = 0x00000100
OVERFLOWN = 0x00004000
_FOLDERS_ONLY_NO_LINKS = 0x01000000 | 0x02000000
_EVENT = struct.Struct("@iIII")
_READ_BYTES = 65536


class Inotify:
    """One file descriptor that becomes readable when a watched folder changes."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self._checked(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def add(self, folder: Path) -> int:
        """Watch a folder for files created, moved there or written to. Raises OSError."""
        mask = MODIFIED | MOVED_HERE | CREATED | _FOLDERS_ONLY_NO_LINKS
        return self._checked(self._libc.inotify_add_watch(self.fd, os.fsencode(folder), mask))

    def remove(self, watch: int) -> None:
        """Watch no longer; a folder that is gone is watched no longer anyway."""
        self._libc.inotify_rm_watch(self.fd, watch)

    def read(self) -> Iterator[tuple[int, int, str]]:
        """The (watch, mask, file name) that came since."""
        try:
            data = os.read(self.fd, _READ_BYTES)
        except BlockingIOError:
            return
        place = 0
        while place < len(data):
            watch, mask, _, length = _EVENT.unpack_from(data, place)
            place += _EVENT.size
            yield watch, mask, os.fsdecode(data[place : place + length].rstrip(b"\0"))
            place += length

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.fd)

    def _checked(self, result: int) -> int:
        if result < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return result
