"""Imports an agent's commits into the mirror, checked; git never runs in the agent's folder."""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

from app.adapters.git.command import Git, GitAnswer
from app.adapters.git.layout import (
    head_ref,
    identify,
    opened,
    quoted_path,
    read_file,
    remove_tree,
    set_aside,
    writing_to,
)
from app.adapters.git.refs import ref_tip
from app.services.ports import CannotRead, Tampered

_TAKE_SECONDS = 300.0
PACK_CAP = 2 * 1024**3
_TEXT_CAP = 8 * 1024 * 1024
_DEEPEST = 4
# the most malformed objects of a base that are skipped; each costs one more try
_MOST_SPARED = 20
_FSCK = re.compile(
    r"^error: object (?P<object>[0-9a-f]{40,64}): (?P<rule>\w+): (?P<what>.*)$", re.M
)
# the limit of one allocation by git: an object that claims more is a bomb
_MEMORY = {"GIT_ALLOC_LIMIT": "1g"}
# messages about the machine, not about the objects git reads
_TROUBLE = re.compile(
    r"No space left|Out of diskspace|quota exceeded|Input/output error|Read-only file system"
    r"|Too many open files|Cannot allocate memory|[Oo]ut of memory|temporarily unavailable"
    r"|Permission denied|Operation not permitted|Stale file handle|endpoint is not connected"
    r"|cannot fork|unable to create thread"
)


def check_objects(git_dir: int, mirror: Path) -> tuple[int, int]:
    """Check that all objects are regular files and borrowed only from our mirror.

    Return the identity of the objects folder. Raises OSError, Tampered.
    """
    with opened(git_dir, "objects") as objects:
        _check_files(objects)
        with suppress(FileNotFoundError), opened(objects, "info") as info:
            _check_alternates(read_file(info, "alternates", cap=_TEXT_CAP) or "", mirror)
        return identify(objects)


def _check_files(folder: int, depth: int = 0) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and depth < _DEEPEST:
                with opened(folder, entry.name) as inner:
                    _check_files(inner, depth + 1)
            elif not entry.is_file(follow_symlinks=False):
                raise Tampered("The copy's objects are not plain files.")


def _check_alternates(text: str, mirror: Path) -> None:
    for line in text.splitlines():
        if line and not line.startswith("#") and line != str(mirror / "objects"):
            raise Tampered("The copy borrows objects from a folder that is not Runyard's.")


def is_whole(git: Git, mirror: Path, tip: str, env: dict[str, str] | None = None) -> bool:
    """Return True if `tip` is a commit in the mirror with all objects it needs.

    Raises GitFailed, CannotRead.
    """
    kind = _kind(git, mirror, tip, env)
    if not kind.code and kind.text == "commit":
        walk = ["rev-list", "--objects", "--quiet", tip, "--not", "--all"]
        kind = git.run(walk, git_dir=mirror, env=env, timeout=_TAKE_SECONDS, check=False)
        if not kind.code:
            return True
    if proves_nothing(kind):
        raise CannotRead(f"git could not look through the commits: {_last_line(kind)}")
    return False


def _kind(git: Git, mirror: Path, sha: str, env: dict[str, str] | None = None) -> GitAnswer:
    return git.run(["cat-file", "-t", sha], git_dir=mirror, env=env, check=False)


def proves_nothing(answer: GitAnswer) -> bool:
    """Return True if the machine made git fail: a signal, a full disk, missing permissions."""
    return answer.code < 0 or _TROUBLE.search(answer.err) is not None


def _last_line(answer: GitAnswer) -> str:
    if found := _FSCK.search(answer.err):
        return f"object {found['object'][:12]} breaks {found['rule']} ({found['what'][:200]})"
    return (answer.err.strip().splitlines() or ["no reason given"])[-1][:300]


def _checked(answer: GitAnswer) -> None:
    """Raise Tampered if the objects made git fail, CannotRead if the machine did."""
    if answer.is_cut:
        raise Tampered(f"The commits are larger than {PACK_CAP // 1024**3} GiB.")
    if answer.code:
        kind = CannotRead if proves_nothing(answer) else Tampered
        raise kind(f"The commits could not be taken: {_last_line(answer)}")


def pack_into(git: Git, mirror: Path, objects: Path, tip: str) -> None:
    """Import every object that `tip` needs into the mirror, or nothing.

    The objects are checked in a separate folder and moved in last. Raises Tampered, GitFailed,
    CannotRead, OSError.
    """
    aside = set_aside(mirror, "incoming")
    try:
        with tempfile.TemporaryFile(dir=aside) as pack:
            _pack(git, mirror, objects, tip, pack)
            pack.seek(0)
            (aside / "pack").mkdir()
            env = writing_to(aside, mirror) | _MEMORY
            _unpack(git, mirror, pack, env)
        if not is_whole(git, mirror, tip, env):
            raise Tampered("The copy's commits are incomplete.")
        _move_packs(aside / "pack", mirror / "objects" / "pack")
    finally:
        remove_tree(mirror, aside.name)


def _pack(git: Git, mirror: Path, objects: Path, tip: str, pack: IO[bytes]) -> None:
    known = git.run(["for-each-ref", "--format=^%(objectname)"], git_dir=mirror).text
    answer = git.run(
        ["pack-objects", "--revs", "--stdout", "--thin", "--delta-base-offset", "-q"],
        git_dir=mirror,
        input=f"{tip}\n{known}\n".encode(),
        output=pack,
        env={"GIT_ALTERNATE_OBJECT_DIRECTORIES": quoted_path(objects), **_MEMORY},
        timeout=_TAKE_SECONDS,
        output_cap=PACK_CAP,
        check=False,
    )
    _checked(answer)


def _unpack(git: Git, mirror: Path, pack: IO[bytes], env: dict[str, str]) -> None:
    """Check and index the pack, ignoring flaws in objects that the mirror already has."""
    with tempfile.NamedTemporaryFile("w", prefix="runyard-spared-") as spared:
        strict, tries = "--strict", 0
        while True:
            pack.seek(0)
            check = ["index-pack", strict, "--stdin", "--fix-thin", f"--max-input-size={PACK_CAP}"]
            answer = git.run(
                check, git_dir=mirror, input=pack, env=env, timeout=_TAKE_SECONDS, check=False
            )
            found, tries = _FSCK.search(answer.err), tries + 1
            if not answer.code or found is None or tries == _MOST_SPARED:
                break
            # these characters separate entries in git's option
            if re.search(r"[\s,|]", spared.name) or not _has(git, mirror, found["object"]):
                break
            print(found["object"], file=spared, flush=True)
            strict = f"--strict=skiplist={spared.name}"
        _checked(answer)


def _has(git: Git, mirror: Path, sha: str) -> bool:
    return not git.run(["cat-file", "-e", sha], git_dir=mirror, check=False).code


def _move_packs(source: Path, target: Path) -> None:
    # git finds a pack by its index, so the index goes last
    files = sorted(source.iterdir(), key=lambda path: path.suffix == ".idx")
    for path in files:
        path.rename(target / path.name)


def is_claimed(git: Git, mirror: Path, branch: str, tip: str) -> bool:
    """Return True if the claim is at the commit `tip`, which was then taken. Raises GitFailed."""
    if ref_tip(git, mirror, head_ref(branch)) != tip:
        return False
    kind = _kind(git, mirror, tip)
    return not kind.code and kind.text == "commit"


def move_claim(git: Git, mirror: Path, branch: str, tip: str) -> None:
    """Point the claim at `tip`. Raises CannotRead if it is gone, GitFailed if it just moved."""
    ref = head_ref(branch)
    old = ref_tip(git, mirror, ref)
    if old is None:
        raise CannotRead(f"Nothing claims {branch} any more.")
    if old != tip:
        git.run(["update-ref", ref, tip, old], git_dir=mirror)
