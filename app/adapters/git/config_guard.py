"""Restores the config and other control files of our git folders before git reads them.

An agent running as our user can write to a mirror. One config line there can redirect a push or
start a program, and git has no option to ignore settings that are not named one by one.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import structlog

from app.adapters.git.command import GitFailed
from app.adapters.git.layout import (
    ATTRIBUTES,
    NO_BRANCH,
    borrowing,
    is_made_so,
    opened,
    opened_file,
    own_config,
    remove_tree,
)

log = structlog.get_logger()
_CAP = 64 * 1024
_LOCK_SECONDS = 2.0
# files that would give a folder foreign settings, commits, parents or addresses
_FOREIGN = (
    *("commondir", "gitdir", "config.worktree", "shallow", "remotes", "branches"),
    *("info/grafts", "info/sparse-checkout", "objects/info/alternates"),
)
_BELIEVED = re.compile(rb"ref:\s*refs/|[0-9a-f]{40}")

Texts = Mapping[str, bytes]


def keep_mirror(git_dir: Path) -> None:
    """Restore the control files of a mirror if they were changed. Raises GitFailed."""
    _keep(git_dir, partial(_mirror_texts, git_dir))


def keep_look(mirror: Path, git_dir: Path) -> None:
    """Restore our own git folder for a working copy of `mirror`. Raises GitFailed."""
    _keep(git_dir, partial(_look_texts, mirror))


def _mirror_texts(git_dir: Path, top: int) -> Texts:
    texts = {
        "config": _config_of(git_dir, top, is_bare=True),
        "info/attributes": ATTRIBUTES.encode(),
    }
    # a missing or invalid HEAD is left alone: git then reports the mirror as damaged
    if _BELIEVED.match(_read(top, "HEAD") or b""):
        texts["HEAD"] = f"ref: {NO_BRANCH}\n".encode()
    return texts


def _look_texts(mirror: Path, top: int) -> Texts:
    return {
        "config": _config_of(mirror, top, is_bare=False),
        "info/attributes": ATTRIBUTES.encode(),
        "objects/info/alternates": borrowing(mirror).encode(),
    }


def _config_of(mirror: Path, top: int, *, is_bare: bool) -> bytes:
    length = _length_of_ids(mirror)
    if length is None:  # a mirror still being created has no refs
        found = _read(top, "config") or b""
        length = 64 if b'"sha256"' in found else 40
    return own_config(is_bare=is_bare, is_sha256=length == 64).encode()


def _length_of_ids(mirror: Path) -> int | None:
    """Return the length of the first commit id among the refs; None without refs."""
    with opened(mirror) as top:
        packed = _read(top, "packed-refs", head_only=True) or b""
        for line in packed.splitlines()[:2]:
            if not line.startswith(b"#"):
                return len(line.partition(b" ")[0])
        with opened(top, "refs") as refs:
            return next(_lengths(refs), None)


def _lengths(folder: int, depth: int = 0) -> Iterator[int]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and depth < 20:
                with suppress(FileNotFoundError), opened(folder, entry.name) as inner:
                    yield from _lengths(inner, depth + 1)
            elif entry.is_file(follow_symlinks=False):
                text = (_read(folder, entry.name, head_only=True) or b"").strip()
                if len(text) in (40, 64) and not text.startswith(b"ref:"):
                    yield len(text)


def _keep(git_dir: Path, texts_of: Callable[[int], Texts]) -> None:
    try:
        with opened(git_dir) as top:
            if _changed(top, texts_of(top)):
                with _locked(top):
                    texts = texts_of(top)
                    for path in _changed(top, texts):
                        _put_back(top, path, texts.get(path))
                        log.warning("git_settings_put_back", path=path, repository=git_dir.name)
    except OSError as problem:
        because = f"{git_dir.name} could not be compared with what it must be: {problem}"
        raise GitFailed(because) from problem


def _changed(top: int, texts: Texts) -> list[str]:
    """List the paths whose text differs and the foreign ones that must not exist."""
    changed = [path for path, text in texts.items() if _read(top, path) != text]
    return changed + [path for path in _FOREIGN if path not in texts and _is_there(top, path)]


def _read(top: int, path: str, *, head_only: bool = False) -> bytes | None:
    """Read a file; None unless it is a regular file of at most 64 KiB. Raises OSError.

    With `head_only` a larger file is cut, not refused.
    """
    *folders, name = path.split("/")
    try:
        with opened(top, *folders) as folder, opened_file(folder, name) as fd:
            text = os.read(fd, _CAP + 1)
    except OSError as problem:
        if is_made_so(problem):
            return None
        raise
    return text if head_only or len(text) <= _CAP else None


def _is_there(top: int, path: str) -> bool:
    """Return True if git would find this path, or follow a link to look for it."""
    folder = path.rpartition("/")[0]
    try:
        if folder and stat.S_ISLNK(os.stat(folder, dir_fd=top, follow_symlinks=False).st_mode):
            return True
        os.stat(path, dir_fd=top, follow_symlinks=False)
    except OSError as problem:
        if is_made_so(problem):
            return False
        raise
    return True


def _put_back(top: int, path: str, text: bytes | None) -> None:
    *folders, name = path.split("/")
    with _made(top, folders) as folder:
        if text is None:
            remove_tree(folder, name)
            return
        new = f".{name}.{secrets.token_hex(6)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(new, flags, 0o600, dir_fd=folder), "wb") as file:
                file.write(text)
            with suppress(IsADirectoryError):
                os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
                return
            remove_tree(folder, name)
            os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(new, dir_fd=folder)


@contextmanager
def _made(top: int, folders: list[str]) -> Generator[int]:
    """Open a folder below an open one; an `info` that is not a real folder is replaced."""
    if folders[-1:] == ["info"]:
        with opened(top, *folders[:-1]) as above:
            try:
                with opened(above, "info"):
                    pass
            except OSError as problem:
                if not is_made_so(problem):
                    raise
                remove_tree(above, "info")
                os.mkdir("info", 0o700, dir_fd=above)
    with opened(top, *folders) as folder:
        yield folder


@contextmanager
def _locked(top: int) -> Generator[None]:
    deadline = time.monotonic() + _LOCK_SECONDS
    with opened(top, "objects") as held:
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                # bounded, because an agent can hold the lock too
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        yield
