"""Files of a private home, where an agent may have put anything: links are never followed.

A folder where a file belongs, or the reverse, is renamed within its parent folder.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from app.adapters.git.layout import opened, opened_file

MAX_BYTES = 4 * 1024 * 1024
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def open_folder(home: Path, parts: Sequence[str]) -> Generator[int]:
    """Yield a descriptor of a folder in the home, created if missing. Raises OSError."""
    with ExitStack() as stack:
        fd = os.open(home, _FOLDER)
        stack.callback(os.close, fd)
        for part in parts:
            fd = _enter(fd, part)
            stack.callback(os.close, fd)
        yield fd


@dataclass(frozen=True)
class Left:
    """A file as an agent left it; `changed` is its ctime, in ns since 1970."""

    content: bytes
    changed: int


def read(home: Path, parts: Sequence[str]) -> Left | None:
    """Return a file in the home, None if it is missing, not regular, closed to us or too large."""
    try:
        with opened(home, *parts[:-1]) as folder, opened_file(folder, parts[-1]) as fd:
            seen = os.fstat(fd)
            if seen.st_mode & 0o600 != 0o600:
                return None
            with os.fdopen(os.dup(fd), "rb") as file:
                content = file.read(MAX_BYTES + 1)
            return Left(content, seen.st_ctime_ns) if len(content) <= MAX_BYTES else None
    except OSError:
        return None


def write(folder: int, name: str, content: bytes) -> None:
    """Put a whole file of mode 0600 in place of anything of that name. Raises OSError."""
    _clear(folder, name, is_folder=False)
    fresh = f".{name}.{secrets.token_hex(6)}"
    fd = os.open(fresh, _NEW, 0o600, dir_fd=folder)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
        os.replace(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        with suppress(OSError):
            os.unlink(fresh, dir_fd=folder)
        raise


def link(folder: int, name: str, target: str) -> None:
    """Make `name` a symbolic link to `target`. Raises OSError."""
    with suppress(OSError):
        if os.readlink(name, dir_fd=folder) == target:
            return
    fresh = f".{name}.{secrets.token_hex(6)}"
    _clear(folder, name, is_folder=False)
    os.symlink(target, fresh, dir_fd=folder)
    os.replace(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)


def drop(folder: int, name: str) -> None:
    """Remove a file or link, or rename a folder of that name. Raises OSError."""
    _clear(folder, name, is_folder=False)
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def make_point(home: Path, place: Path, *, is_folder: bool) -> None:
    """Make `place` a mount point: a real folder or a regular file. Raises OSError."""
    with open_folder(home, place.parts if is_folder else place.parts[:-1]) as folder:
        if is_folder:
            return
        name = place.parts[-1]
        _clear(folder, name, is_folder=False)
        mode = _mode(folder, name)
        if mode is None or not stat.S_ISREG(mode):
            write(folder, name, b"")


def _enter(parent: int, name: str) -> int:
    _clear(parent, name, is_folder=True)
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=parent)
    fd = os.open(name, _FOLDER | os.O_PATH, dir_fd=parent)
    try:
        # undo a chmod by an agent, which would lock out the next one
        if (mode := os.fstat(fd).st_mode) & 0o700 != 0o700:
            os.chmod(f"/proc/self/fd/{fd}", stat.S_IMODE(mode) | 0o700)
        return os.open(".", _FOLDER, dir_fd=fd)
    finally:
        os.close(fd)


def _clear(parent: int, name: str, *, is_folder: bool) -> None:
    """Rename a folder where a file belongs, or the reverse."""
    mode = _mode(parent, name)
    if mode is not None and stat.S_ISDIR(mode) != is_folder:
        _set_aside(parent, name)


def _mode(parent: int, name: str) -> int | None:
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None


def _set_aside(parent: int, name: str) -> None:
    aside = f"{name}.set-aside-{secrets.token_hex(4)}"
    os.rename(name, aside, src_dir_fd=parent, dst_dir_fd=parent)
