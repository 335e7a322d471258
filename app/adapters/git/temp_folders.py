"""Folders set aside: work not yet whole, or on its way out; what a killed process left goes."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.adapters.git.layout import opened, remove_tree, set_aside

_NAME = re.compile(r"\.([a-z0-9_]{1,80})\.[0-9a-f]+", re.ASCII)


@contextmanager
def aside(root: Path, name: str) -> Iterator[Path]:
    """A new, private, empty folder beside the finished ones; deleted at the end, if still there.

    It is locked all the while: the kernel lets go of it when this process dies.
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
        # whoever clears was faster: it is gone, or will be


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
    """Delete what dead processes set aside under a name, None: under any; how many folders.

    Raises OSError.
    """
    count = 0
    for path in sorted(root.glob(".*")):
        found = _NAME.fullmatch(path.name)
        if found is None or name not in (None, found[1]):
            continue
        held = _hold(root, path.name)
        if held is None:
            continue  # somebody is at work there, or it is no folder and so none of ours
        try:
            remove_tree(root, path.name)
            count += 1
        finally:
            os.close(held)
    return count


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Say that something inside of a folder is being made. Raises OSError."""
    with opened(folder) as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        yield


def clear_unused(folder: Path, name: str) -> int:
    """Delete what is set aside inside of a folder that nobody uses; how many. Raises OSError."""
    with opened(folder) as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0
        return clear_asides(folder, name)
