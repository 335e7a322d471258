"""Finds the commits that an agent's git folder names, without running git there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from app.adapters.git.command import Git
from app.adapters.git.layout import opened, read_file
from app.services.ports import Tampered

_SHA = re.compile(r"\b[0-9a-f]{40}(?:[0-9a-f]{24})?\b")
_TEXT_CAP = 8 * 1024 * 1024
_REF_CAP = 1000
_DEEPEST = 12
_MOST = 50_000


def named_commits(git_dir: int) -> set[str]:
    """Return the ids named by any ref, HEAD, a worktree's HEAD or the stash log.

    Raises OSError, Tampered.
    """
    texts = [
        read_file(git_dir, "packed-refs", cap=_TEXT_CAP),
        read_file(git_dir, "HEAD", cap=_REF_CAP),
    ]
    with opened(git_dir, "refs") as refs:
        texts += _loose(refs)
    try:
        with opened(git_dir, "logs", "refs") as logs:
            texts.append(read_file(logs, "stash", cap=_TEXT_CAP))
    except FileNotFoundError:
        pass  # no stash
    try:
        with opened(git_dir, "worktrees") as trees:
            texts += _heads(trees)
    except FileNotFoundError:
        pass  # no further worktrees
    found = {sha for text in texts if text for sha in _SHA.findall(text)}
    found = {sha for sha in found if sha.strip("0")}
    if len(found) > _MOST:
        raise Tampered("The copy has too many branches to look through.")
    return found


def _loose(folder: int, depth: int = 0) -> Iterator[str | None]:
    if depth > _DEEPEST:
        raise Tampered("The copy's branches are nested too deep.")
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                with opened(folder, entry.name) as inner:
                    yield from _loose(inner, depth + 1)
            else:
                yield read_file(folder, entry.name, cap=_REF_CAP)


def _heads(worktrees: int) -> Iterator[str | None]:
    with os.scandir(worktrees) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                with opened(worktrees, entry.name) as one:
                    yield read_file(one, "HEAD", cap=_REF_CAP)


def count_missing(git: Git, git_dir: Path, shas: set[str]) -> int:
    """Count the objects that a repository of ours does not have. Raises GitFailed."""
    if not shas:
        return 0
    asked = "".join(f"{sha}\n" for sha in sorted(shas)).encode()
    answer = git.run(["cat-file", "--batch-check"], git_dir=git_dir, input=asked)
    return sum(line.endswith(" missing") for line in answer.text.splitlines())
