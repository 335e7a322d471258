"""Locks in the data folder, and their holders, read from the kernel without taking the lock.

The command line imports this: use only standard modules that load fast.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SERVER_LOCK = "lock"
LINK_LOCK = "login-link.lock"
# `struct flock` on Linux: type, whence, start, length, pid; BSD has another order
_FORM, _PID, _KIND = ("@hhqqi", 4, 0) if sys.platform == "linux" else ("@qqihh", 2, 3)


def holder_of(lock: Path) -> int | None:
    """Return the pid of the process that holds a file's lock, None if there is none."""
    try:
        file = os.open(lock, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        return holder_of_open(file)
    finally:
        os.close(file)


def holder_of_open(file: int) -> int | None:
    """Return the same for an open file; a lock of this process does not count."""
    fields: list[Any] = [0] * 5
    fields[_KIND] = fcntl.F_WRLCK
    try:
        answer = fcntl.fcntl(file, fcntl.F_GETLK, struct.pack(_FORM, *fields))
    except OSError:
        return None
    found = struct.unpack(_FORM, answer)
    return int(found[_PID]) if found[_KIND] != fcntl.F_UNLCK else None


@contextmanager
def asking_for_link(folder: Path) -> Generator[None]:
    """Hold the lock that shows a data folder's server which process asks for a sign-in link.

    Concurrent callers wait for each other. If the file cannot be opened, no lock is held.
    """
    try:
        file = os.open(
            folder / LINK_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
    except OSError:
        yield
        return
    try:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)
