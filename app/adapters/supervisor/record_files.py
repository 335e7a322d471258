"""The records of a run: small JSON files that appear whole or not at all."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping

STARTED, EXIT, GONE = "started", "exit", "gone"
# the hosts that the agent asked for and was refused
REFUSED = "refused"
_RESERVED = 1024
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


def timestamp(ahead: float = 0) -> str:
    """Return now plus `ahead` seconds as ISO 8601 in UTC, with milliseconds and a Z."""
    seconds, rest = divmod(time.time() + ahead, 1)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{int(rest * 1000):03d}Z"


def as_json(fields: Mapping[str, object]) -> bytes:
    """Return the fields as one line of ASCII JSON."""
    return json.dumps(fields).encode("ascii")


def reserve(folder: int, name: str) -> None:
    """Allocate the blocks of a later record, so that it can be written to a full disk."""
    file = os.open(f".{name}", _NEW, 0o600, dir_fd=folder)
    try:
        os.write(file, b" " * _RESERVED)
    finally:
        os.close(file)


def write(folder: int, name: str, fields: Mapping[str, object], *, durable: bool = True) -> None:
    """Write a record atomically into the folder open as `folder`. Raises OSError."""
    text = as_json(fields).ljust(_RESERVED)
    # not truncated: keeps the blocks that reserve() allocated
    file = os.open(f".{name}", _NEW & ~os.O_TRUNC, 0o600, dir_fd=folder)
    try:
        os.write(file, text)
        if durable:
            os.fsync(file)
    finally:
        os.close(file)
    os.rename(f".{name}", name, src_dir_fd=folder, dst_dir_fd=folder)
