"""Copies the untracked files that `.runyardinclude` lists into a working copy."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from app.adapters.git.layout import opened, opened_file, read_file
from app.services.ports import INCLUDE_LIST, LaunchFailed

MOST_FILES = 1000
MOST_BYTES = 100 * 1024 * 1024
_LIST_CAP = 64 * 1024
_GLOB = re.compile(r"[*?\[]")
_DEEPEST = 40
_MOST_STEPS = 200_000

Parts = tuple[str, ...]


def wanted_patterns(copy: int) -> list[Parts]:
    """Read the paths and globs listed in an open working copy, split into parts.

    Raises LaunchFailed for a line that leaves the repository or enters `.git`.
    """
    text = read_file(copy, INCLUDE_LIST, cap=_LIST_CAP) or ""
    lines = [line.strip() for line in text.splitlines()]
    return [_parts(line) for line in lines if line and not line.startswith("#")]


def _parts(line: str) -> Parts:
    parts = tuple(part for part in line.split("/") if part not in {"", "."})
    if line.startswith("/") or ".." in parts or "\0" in line or not parts:
        raise LaunchFailed(
            f"{INCLUDE_LIST} may only name paths inside the repository: {line[:200]}"
        )
    if any(part.lower() == ".git" for part in parts):
        raise LaunchFailed(f"{INCLUDE_LIST} may not name anything inside .git: {line[:200]}")
    return parts


def copy_included(origin: Path, copy: int, exclude: Callable[[str], None]) -> int:
    """Copy listed files from a local origin unless the copy has them; return their number.

    `exclude` gets the lines for git's exclude files first, so that files of an interrupted copy
    do not count as work. Links are not followed on either side. Raises LaunchFailed past 1000
    files or 100 MiB.
    """
    count, budget = 0, MOST_BYTES
    with opened(origin.resolve()) as source:
        found = _Search(source).paths(wanted_patterns(copy))
        missing = [path for path in found if not _is_there(copy, path)]
        if len(missing) > MOST_FILES:
            raise LaunchFailed(f"{INCLUDE_LIST} lists more than {MOST_FILES} files.")
        exclude(exclude_lines(["/".join(path) for path in missing]))
        for path in missing:
            size = _copy_one(source, copy, path, budget)
            if size is not None:
                count, budget = count + 1, budget - size
    return count


def _is_there(copy: int, path: Parts) -> bool:
    try:
        with opened(copy, *path[:-1]) as folder:
            os.stat(path[-1], dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # the commit has something else at this path: keep it
    return True


class _Search:
    """One search of an open origin for all patterns, bounded against hostile ones."""

    def __init__(self, source: int) -> None:
        self._source, self._steps = source, 0

    def paths(self, patterns: list[Parts]) -> Iterator[Parts]:
        seen: set[Parts] = set()
        for pattern in patterns:
            for path in self._expand(self._source, pattern, ()):
                if path not in seen:
                    seen.add(path)
                    yield path

    def _expand(self, folder: int, parts: Parts, above: Parts) -> Iterator[Parts]:
        part, rest = parts[0], parts[1:]
        if part == "**":
            yield from self._expand(folder, rest or ("*",), above)
            found, below = _names(folder, "*"), parts
        else:
            found, below = _names(folder, part) if _GLOB.search(part) else [part], rest
        for name in found:
            self._steps += 1
            if self._steps > _MOST_STEPS:
                raise LaunchFailed(f"{INCLUDE_LIST} asks for too long a search.")
            path = (*above, name)
            if below and len(path) < _DEEPEST and _is(folder, name, stat.S_ISDIR):
                with opened(folder, name) as inner:
                    yield from self._expand(inner, below, path)
            elif not below and _is(folder, name, stat.S_ISREG):
                yield path


def _names(folder: int, pattern: str) -> list[str]:
    names = sorted(os.listdir(folder))
    return [n for n in names if fnmatch.fnmatchcase(n, pattern) and n.lower() != ".git"]


def _is(folder: int, name: str, kind: Callable[[int], bool]) -> bool:
    try:
        return kind(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _copy_one(source: int, copy: int, path: Parts, budget: int) -> int | None:
    *folders, name = path
    with opened(source, *folders) as folder, opened_file(folder, name) as found:
        seen = os.fstat(found)
        if seen.st_size > budget:
            raise LaunchFailed(f"{INCLUDE_LIST} lists more than {MOST_BYTES // 1024**2} MiB.")
        try:
            with _made(copy, folders) as target:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                fd = os.open(name, flags, 0o600, dir_fd=target)
        except OSError:
            # the commit has a file here, or a link in place of a folder: keep it
            return None
        with os.fdopen(fd, "wb") as new, os.fdopen(os.dup(found), "rb") as old:
            shutil.copyfileobj(old, new)
            os.fchmod(new.fileno(), stat.S_IMODE(seen.st_mode) & 0o777)
    return seen.st_size


def _made(copy: int, folders: list[str]) -> AbstractContextManager[int]:
    for depth in range(len(folders)):
        with opened(copy, *folders[:depth]) as above:
            if not _is(above, folders[depth], stat.S_ISDIR):
                os.mkdir(folders[depth], dir_fd=above)
    return opened(copy, *folders)


def exclude_lines(paths: list[str]) -> str:
    """Return lines for git's exclude file that match exactly these paths."""
    lines = [re.sub(r"([\\*?\[\]! #])", r"\\\1", path) for path in paths if "\n" not in path]
    return "".join(f"/{line}\n" for line in lines)
