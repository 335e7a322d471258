"""The server of a data folder: its address, and the kernel's word that it is the one."""

from __future__ import annotations

import fcntl
import json
import os
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# `struct flock`: kind, whence, start, length, pid; in BSD's order elsewhere
_FORM, _PID, _KIND = ("@hhqqi", 4, 0) if sys.platform == "linux" else ("@qqihh", 2, 3)


@dataclass(frozen=True)
class Known:
    """The contents of `server.json`; `is_serving` where its process holds the folder's lock."""

    url: str
    page_url: str
    pid: int
    is_serving: bool


def known_server(folder: Path) -> Known | None:
    """The server that a data folder names, None where it names none that can be read."""
    try:
        told = json.loads((folder / "server.json").read_text())
        url, pid = str(told["url"]).rstrip("/"), int(told["pid"])
        page_url = str(told.get("page_url", url))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    # only a process of ours can hold it: the folder is closed to everybody else
    return Known(url, page_url, pid, pid > 0 and pid == _holder_of(folder / "lock"))


def _holder_of(lock: Path) -> int | None:
    """The pid of the process that holds a file's lock, asked without ever taking it."""
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
