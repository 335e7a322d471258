"""The holder of a lock in the data folder, as the kernel names it without taking the lock.

Imported by the command line: only modules of the standard library that load fast.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SERVER_LOCK = "lock"
LINK_LOCK = "login-link.lock"
# `struct flock`: kind, whence, start, length, pid; in BSD's order elsewhere
_FORM, _PID, _KIND = ("@hhqqi", 4, 0) if sys.platform == "linux" else ("@qqihh", 2, 3)


def holder_of(lock: Path) -> int | None:
    """The pid of the process that holds a file's lock, None where none does."""
    fields: list[Any] = [0] * 5
    fields[_KIND] = fcntl.F_WRLCK
    try:
        file = os.open(lock, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        answer = fcntl.fcntl(file, fcntl.F_GETLK, struct.pack(_FORM, *fields))
    except OSError:
        return None
    finally:
        os.close(file)
    found = struct.unpack(_FORM, answer)
    return int(found[_PID]) if found[_KIND] != fcntl.F_UNLCK else None


@contextmanager
def asking_for_link(folder: Path) -> Iterator[None]:
    """Let the server of a data folder see which process asks it for a sign-in link.

    Those who ask take turns. Where the folder is not this user's, nothing is shown.
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
