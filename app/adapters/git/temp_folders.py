"""Temporary folders for unfinished work and deletions; those of dead processes are removed."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from app.adapters.git.layout import opened, remove_tree, set_aside

_NAME = re.compile(r"\.([a-z0-9_]{1,80})\.[0-9a-f]+", re.ASCII)


@contextmanager
def aside(root: Path, name: str) -> Generator[Path]:
    """Provide a private temporary folder in `root`, deleted on exit unless renamed.

    It is locked, and the kernel releases the lock when this process dies.
    """
    path, held = _hold_new(root, name)
    try:
        yield path
    finally:
        try:
            remove_tree(root, path.name)
        finally:
            os.close(held)


def _hold_new(root: Path, name: str) -> tuple[Path, int]:
    while True:
        path = set_aside(root, name)
        held = _hold(root, path.name)
        if held is not None:
            return path, held
        # `clear_asides` was faster: the folder is gone or will be


def _hold(root: Path, name: str) -> int | None:
    try:
        with opened(root, name) as folder:
            held = os.dup(folder)
    except OSError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        return None
    return held


def clear_asides(root: Path, name: str | None = None) -> int:
    """Delete dead processes' folders for `name` (None: all) and return their number.

    Raises OSError.
    """
    count = 0
    for path in sorted(root.glob(".*")):
        found = _NAME.fullmatch(path.name)
        if found is None or name not in (None, found[1]):
            continue
        held = _hold(root, path.name)
        if held is None:
            continue  # in use, or not a folder and so not ours
        try:
            remove_tree(root, path.name)
            count += 1
        finally:
            os.close(held)
    return count


@contextmanager
def in_use(folder: Path) -> Generator[None]:
    """Hold off `clear_unused` while something in the folder is being made. Raises OSError."""
    with opened(folder) as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        yield


def clear_unused(folder: Path, name: str) -> int:
    """Delete temporary folders in `folder` unless it is in use; return their number.

    Raises OSError.
    """
    with opened(folder) as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0
        return clear_asides(folder, name)
