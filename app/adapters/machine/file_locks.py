"""Locks between servers that share a folder of runs; the kernel releases those of a dead one."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


class FileLocks:
    """File locks in `root`, one file per held lock; names may contain any character."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextmanager
    def holding(self, name: str, *, wait: bool) -> Generator[bool]:
        """Hold a lock; without `wait`, yield False if another holder has it. Raises OSError."""
        path = self._root / hashlib.sha256(name.encode()).hexdigest()[:32]
        fd = self._lock(path, wait)
        if fd is None:
            yield False
            return
        try:
            yield True
        finally:
            # deleted before release, so that waiters see that this file is no longer the lock
            path.unlink(missing_ok=True)
            os.close(fd)

    def _lock(self, path: Path, wait: bool) -> int | None:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        how = fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, how)
                if _is_at(path, fd):
                    return fd
            except BlockingIOError:
                os.close(fd)
                return None
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)


def _is_at(path: Path, fd: int) -> bool:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return os.path.samestat(found, os.fstat(fd))
