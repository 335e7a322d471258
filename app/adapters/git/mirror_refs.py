"""Reads a mirror's claims as files: a sweep over a thousand projects starts no process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from app.adapters.git.layout import opened, opened_file, read_file
from app.adapters.git.remotes import HEADS
from app.services.ports import CannotRead

_PACKED_CAP = 256 * 1024 * 1024
_DEEPEST = 120
_TRIES = 3


def read_claims(mirror: Path) -> set[str]:
    """Return the names of all claimed branches.

    Raises CannotRead, also for refs that are not stored as plain files.
    """
    try:
        with opened(mirror) as git_dir:
            with opened_file(git_dir, "HEAD"):
                pass  # without HEAD this is no repository for git either
            with opened(git_dir, "refs", "heads") as heads:
                # loose first: a ref packed in between is then found in packed-refs
                found = _all_loose(heads)
            return found | set(_packed(git_dir))
    except OSError as problem:
        raise CannotRead(f"The mirror could not be read: {problem}") from problem


def _all_loose(heads: int) -> set[str]:
    for _ in range(_TRIES):
        with suppress(FileNotFoundError):  # git removes a folder along with its last claim
            return set(_loose(heads))
    return set(_loose(heads))


def _loose(folder: int, above: str = "", depth: int = 0) -> Iterator[str]:
    if depth > _DEEPEST:
        raise OSError("its branches are nested too deep")
    with os.scandir(folder) as entries:
        for entry in entries:
            name = above + entry.name
            if entry.is_dir(follow_symlinks=False):
                with opened(folder, entry.name) as inner:
                    yield from _loose(inner, f"{name}/", depth + 1)
            elif not entry.is_file(follow_symlinks=False):
                raise OSError(f"{name} is not a regular file")
            elif not name.endswith(".lock"):
                yield name


def _packed(git_dir: int) -> Iterator[str]:
    text = read_file(git_dir, "packed-refs", cap=_PACKED_CAP) or ""
    for line in text.split("\n"):
        sha, _, ref = line.partition(" ")
        if ref.startswith(HEADS) and sha != "#":
            yield ref.removeprefix(HEADS)
