"""Folders an agent may have changed: opened step by step, no link ever followed."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# a pipe in place of a file must not make us wait for somebody to write
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextlib.contextmanager
def opened(root: Path | int, *parts: str) -> Iterator[int]:
    """A file descriptor of the real folder `root/parts…`; OSError where a part is none."""
    with contextlib.ExitStack() as stack:
        fd = os.open(root, _FOLDER) if isinstance(root, Path) else os.dup(root)
        stack.callback(os.close, fd)
        for part in parts:
            fd = os.open(part, _FOLDER, dir_fd=fd)
            stack.callback(os.close, fd)
        yield fd


@contextlib.contextmanager
def opened_file(folder: int, name: str) -> Iterator[int]:
    """A file descriptor of a regular file in an open folder; OSError where it is none."""
    fd = os.open(name, _FILE, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(f"{name} is not a regular file")
        yield fd
    finally:
        os.close(fd)


def read_file(folder: int, name: str, *, cap: int) -> str | None:
    """Text of a regular file in an open folder, None where there is none; OSError past `cap`."""
    try:
        with opened_file(folder, name) as fd, os.fdopen(os.dup(fd), "rb") as file:
            text = file.read(cap + 1)
    except FileNotFoundError:
        return None
    if len(text) > cap:
        raise OSError(f"{name} is too large")
    return text.decode("utf-8", "surrogateescape")


def identify(folder: int) -> tuple[int, int]:
    """What tells one folder from another that took its place: device and inode."""
    seen = os.fstat(folder)
    return seen.st_dev, seen.st_ino


def measure(path: Path) -> int:
    """Bytes of the files under a folder, links not followed; what vanishes meanwhile is 0."""
    total, todo = 0, [path]
    while todo:
        with contextlib.suppress(OSError), os.scandir(todo.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    todo.append(Path(entry.path))
                else:
                    with contextlib.suppress(OSError):
                        total += entry.stat(follow_symlinks=False).st_size
    return total


def set_aside(root: Path, name: str) -> Path:
    """A new, private, empty folder beside the finished ones, for work not yet whole."""
    path = root / f".{name}.{secrets.token_hex(6)}"
    path.mkdir(mode=0o700)
    return path


def remove_tree(root: Path | int, name: str) -> None:
    """Delete one entry directly under `root`, a folder; links are unlinked, never followed.

    Raises OSError; an entry that is not there is fine.
    """
    if name in {"", ".", ".."} or "/" in name or "\0" in name:
        raise OSError("only an entry directly under the folder can be deleted")
    with contextlib.suppress(FileNotFoundError), opened(root) as fd:
        if not stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=fd)
            return
        try:
            shutil.rmtree(name, dir_fd=fd)
        except PermissionError:
            unlock_tree(fd, name)
            shutil.rmtree(name, dir_fd=fd)


def unlock_tree(root: int, name: str) -> None:
    """Make every folder under `root/name` writable to us, so that it can be deleted."""
    _unlock(root, name)
    for _, folders, _, fd in os.fwalk(name, dir_fd=root):
        for folder in folders:
            _unlock(fd, folder)


def _unlock(parent: int, name: str) -> None:
    with contextlib.suppress(OSError):
        if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            os.chmod(name, 0o700, dir_fd=parent)
