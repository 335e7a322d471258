"""Reads refs as files, without git: those of the mirrors, and those of agents' copies.

In an agent's git folder git must not run; in the mirrors it would cost a process per project.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from app.adapters.git.command import Git
from app.adapters.git.environment import UnsafeArgument
from app.adapters.git.layout import (
    checked_sha,
    head_ref,
    opened,
    opened_file,
    or_cannot_read,
    read_file,
)
from app.adapters.git.remotes import HEADS, tip_among
from app.services.ports import CannotRead, Tampered

_SHA = re.compile(r"\b[0-9a-f]{40}(?:[0-9a-f]{24})?\b")
_LOOSE = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\n")
_HEAD = re.compile(r"ref: refs/heads/")
_REF_CAP = 1000
_COPY_CAP, _MIRROR_CAP = 8 * 1024 * 1024, 256 * 1024 * 1024
_DEEPEST_IN_COPY, _DEEPEST_IN_MIRROR = 12, 120
_MOST = 50_000
_TRIES = 3
_HISTORY_SECONDS = 120.0


class _TooDeep(OSError):
    """Raised if folders of refs are nested deeper than asked for."""


def _walk(
    folder: int, deepest: int, above: str = ""
) -> Iterator[tuple[int, os.DirEntry[str], str]]:
    """Yield all files below an open folder as (their folder, entry, path).

    Raises OSError, and _TooDeep past `deepest` levels of folders.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                yield folder, entry, above + entry.name
            elif not deepest:
                raise _TooDeep("its branches are nested too deep")
            else:
                with opened(folder, entry.name) as inner:
                    yield from _walk(inner, deepest - 1, f"{above}{entry.name}/")


def _packed(git_dir: int, cap: int) -> Iterator[tuple[str, str]]:
    """Yield commit id and ref of each line of packed-refs. Raises OSError past `cap` bytes."""
    for line in (read_file(git_dir, "packed-refs", cap=cap) or "").split("\n"):
        sha, _, ref = line.partition(" ")
        if sha != "#":
            yield sha, ref


# --- mirrors -----------------------------------------------------------------------------------


def first_commits(git: Git, mirror: Path) -> set[str]:
    """Return the commits without a parent that origin's branches begin with. Raises CannotRead."""
    ask = ["rev-list", "--max-parents=0", "--remotes=origin"]
    with or_cannot_read("The history"):
        return set(git.run(ask, git_dir=mirror, timeout=_HISTORY_SECONDS).text.split())


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
            packed = (ref for _, ref in _packed(git_dir, _MIRROR_CAP) if ref.startswith(HEADS))
            return found | {ref.removeprefix(HEADS) for ref in packed}
    except OSError as problem:
        raise CannotRead(f"The mirror could not be read: {problem}") from problem


def ref_tip(git: Git, mirror: Path, ref: str) -> str | None:
    """Return the commit of a ref, or None. Raises GitFailed.

    Git is asked only where the ref is no plain file with a commit id, as a packed or missing one.
    """
    text = None
    with suppress(OSError), opened(mirror) as git_dir:
        # without a HEAD git could read this is no repository, and git shall say so
        if _HEAD.match(read_file(git_dir, "HEAD", cap=_REF_CAP) or ""):
            text = _loose_ref(git_dir, ref)
    if text and _LOOSE.fullmatch(text):
        return text.strip()
    form = "--format=%(objectname) %(refname)"
    return tip_among(git.run(["for-each-ref", form, "--", ref], git_dir=mirror).text, ref)


def _all_loose(heads: int) -> set[str]:
    for _ in range(_TRIES):
        with suppress(FileNotFoundError):  # git removes a folder along with its last claim
            return set(_loose_names(heads))
    return set(_loose_names(heads))


def _loose_names(heads: int) -> Iterator[str]:
    for _, entry, name in _walk(heads, _DEEPEST_IN_MIRROR):
        if not entry.is_file(follow_symlinks=False):
            raise OSError(f"{name} is not a regular file")
        if not name.endswith(".lock"):
            yield name


# --- agents' copies ----------------------------------------------------------------------------


def read_tip(git_dir: int, branch: str) -> str:
    """Read the commit of a branch of a copy. Raises OSError, Tampered, UnsafeArgument."""
    ref = head_ref(branch)
    text = _loose_ref(git_dir, ref)
    if text is None:
        text = next((sha for sha, name in _packed(git_dir, _COPY_CAP) if name == ref), None)
    if text is None:
        raise Tampered(f"The copy no longer has a branch {branch}.")
    try:
        return checked_sha(text.strip())
    except UnsafeArgument as problem:
        raise Tampered(f"The copy's branch {branch} names no commit.") from problem


def _loose_ref(git_dir: int, ref: str) -> str | None:
    *folders, name = ref.split("/")
    try:
        with opened(git_dir, *folders) as fd:
            return read_file(fd, name, cap=_REF_CAP)
    except FileNotFoundError:
        return None


def named_commits(git_dir: int) -> set[str]:
    """Return the ids named by any ref, HEAD, a worktree's HEAD or the stash log of a copy.

    Raises OSError, Tampered.
    """
    # all text, not only whole lines: packed-refs also names the commits of tags
    texts = [
        read_file(git_dir, "packed-refs", cap=_COPY_CAP),
        read_file(git_dir, "HEAD", cap=_REF_CAP),
    ]
    with opened(git_dir, "refs") as refs:
        texts += _loose_texts(refs)
    try:
        with opened(git_dir, "logs", "refs") as logs:
            texts.append(read_file(logs, "stash", cap=_COPY_CAP))
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


def _loose_texts(refs: int) -> Iterator[str | None]:
    try:
        for folder, entry, _ in _walk(refs, _DEEPEST_IN_COPY):
            yield read_file(folder, entry.name, cap=_REF_CAP)
    except _TooDeep as problem:
        raise Tampered("The copy's branches are nested too deep.") from problem


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
