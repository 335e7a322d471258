"""Copies of folders, made and compared through open descriptors: no link is followed."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from collections.abc import Collection, Generator
from contextlib import contextmanager, suppress

from app.adapters.git.layout import is_made_so, opened, opened_file, remove_tree
from app.services.ports import Tampered

_CHUNK = 1024 * 1024
_DEEPEST = 40
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Allowance:
    """The entries and bytes that may still be copied. Raises Tampered once they are used up."""

    def __init__(self, entries: int, size: int) -> None:
        self._entries, self._size = entries, size

    def use(self, size: int) -> None:
        """Use one entry of `size` bytes."""
        self._entries, self._size = self._entries - 1, self._size - size
        if min(self._entries, self._size) < 0:
            raise Tampered("The copy's git folder holds too much to keep its state.")


def copy_folder(
    source: int, target: int, allowed: Allowance, *, skip: Collection[str] = (), depth: int = 0
) -> None:
    """Copy files, links and folders into the empty folder `target`; `skip` names top entries.

    Other kinds of files are left out. Raises OSError, Tampered.
    """
    if depth > _DEEPEST:
        raise Tampered("The copy's git folder is nested too deep.")
    for name in sorted(os.listdir(source)):
        mode = _mode(source, name)
        if name in skip or mode is None:
            continue
        if stat.S_ISDIR(mode):
            allowed.use(0)
            os.mkdir(name, 0o700, dir_fd=target)
            with opened(source, name) as inner, opened(target, name) as new:
                copy_folder(inner, new, allowed, depth=depth + 1)
        elif stat.S_ISLNK(mode):
            allowed.use(0)
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        elif stat.S_ISREG(mode):
            with opened_file(source, name) as fd:
                allowed.use(os.fstat(fd).st_size)
                write_new(fd, target, name)


def match_folder(source: int, target: int, *, skip: Collection[str] = ()) -> None:
    """Make `target` hold what `source` holds and nothing else, `skip` excepted. Raises OSError."""
    wanted = os.listdir(source)
    for name in os.listdir(target):
        if name not in wanted and name not in skip:
            remove_tree(target, name)
    for name in wanted:
        mode = _mode(source, name) or 0
        if stat.S_ISDIR(mode):
            with opened(source, name) as inner, made_folder(target, name) as theirs:
                match_folder(inner, theirs)
        elif stat.S_ISLNK(mode):
            link = os.readlink(name, dir_fd=source)
            if link_of(target, name) != link:
                write_link(link, target, name)
        else:
            with opened_file(source, name) as fd:
                if not _is_same(fd, target, name):
                    write_copy(fd, target, name)


def digest_folder(folder: int) -> str:
    """Return a digest of all names, links and contents. Raises OSError."""
    whole = hashlib.sha256()
    for name in sorted(os.listdir(folder)):
        mode = _mode(folder, name) or 0
        if stat.S_ISDIR(mode):
            with opened(folder, name) as inner:
                told = digest_folder(inner)
        elif stat.S_ISLNK(mode):
            told = os.readlink(name, dir_fd=folder)
        else:
            told = digest_of(folder, name) or ""
        whole.update(repr((name, stat.S_IFMT(mode), told)).encode())
    return whole.hexdigest()


@contextmanager
def made_folder(root: int, *parts: str) -> Generator[int]:
    """Open the folder `root/parts…`; what stands in its way is deleted. Raises OSError."""
    for number, part in enumerate(parts):
        with opened(root, *parts[:number]) as above:
            mode = _mode(above, part)
            if mode is None or not stat.S_ISDIR(mode):
                remove_tree(above, part)
                os.mkdir(part, 0o755, dir_fd=above)
    with opened(root, *parts) as folder:
        yield folder


def write_copy(source: int, folder: int, name: str) -> None:
    """Replace `folder/name` by a copy of an open file, times too."""
    with _replaced(folder, name) as new:
        write_new(source, folder, new)


def write_new(source: int, folder: int, name: str) -> str:
    """Copy an open file to the new file `folder/name`, times too; return its digest."""
    seen, whole = os.fstat(source), hashlib.sha256()
    fd = os.open(name, _NEW_FILE, 0o600, dir_fd=folder)
    with os.fdopen(fd, "wb") as file:
        for piece in _pieces(source):
            whole.update(piece)
            file.write(piece)
        os.fchmod(fd, stat.S_IMODE(seen.st_mode) & 0o777)
        file.flush()
        os.utime(fd, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    return whole.hexdigest()


def write_link(link: str, folder: int, name: str) -> None:
    """Replace `folder/name` by a symbolic link."""
    with _replaced(folder, name) as new:
        os.symlink(link, new, dir_fd=folder)


def link_of(folder: int, name: str) -> str | None:
    """Return what a symbolic link names, None if there is none."""
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError:
        return None


def digest_of(folder: int, name: str) -> str | None:
    """Return the digest of a regular file, None if there is none. Raises OSError."""
    try:
        with opened_file(folder, name) as fd:
            return _digest(fd)
    except OSError as problem:
        if is_made_so(problem):
            return None
        raise


@contextmanager
def _replaced(folder: int, name: str) -> Generator[str]:
    """Provide a temporary name, and rename that to `name` at the end."""
    new = f".{secrets.token_hex(8)}.new"
    try:
        yield new
        mode = _mode(folder, name)
        if mode is not None and stat.S_ISDIR(mode):
            remove_tree(folder, name)
        os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(new, dir_fd=folder)


def _is_same(fd: int, folder: int, name: str) -> bool:
    """Compare a file with an open one: type, size, permissions, then content.

    Times, too: git compares an index's with those of the files in it.
    """
    try:
        theirs = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    ours = os.fstat(fd)
    # a file of another size is not read: it may be larger than any disk
    return (
        stat.S_ISREG(theirs.st_mode)
        and ours.st_size == theirs.st_size
        and ours.st_mode & 0o777 == theirs.st_mode & 0o777
        and ours.st_mtime_ns == theirs.st_mtime_ns
        and digest_of(folder, name) == _digest(fd)
    )


def _digest(fd: int) -> str:
    whole = hashlib.sha256()
    for piece in _pieces(fd):
        whole.update(piece)
    return whole.hexdigest()


def _pieces(fd: int) -> Generator[bytes]:
    os.lseek(fd, 0, os.SEEK_SET)
    while piece := os.read(fd, _CHUNK):
        yield piece


def _mode(folder: int, name: str) -> int | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None
