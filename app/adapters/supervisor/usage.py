"""Resource use of a run: its processes, their memory, and the size of its working copy.

Imported by the supervisor: only standard library modules that load fast.
"""

from __future__ import annotations

import os
import time
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator

from app.adapters.supervisor.kernel import PROC, descendants

_PAGE = os.sysconf("SC_PAGE_SIZE")
_BLOCK = 512
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# deeper levels are not counted: each keeps a descriptor open
_DEEPEST = 100
# files with several names that are counted once; any beyond count once per name
_MOST_LINKED = 100_000
# a pause lasts 19 times as long as the walk before it: walks take 5 % of the time
_REST = 19
_FIRST_PAUSE = 1.0

# `tasks` counts threads, as the kernel's own limit does; `rss` is in bytes
Use = namedtuple("Use", "pid tasks rss")


def may_have(tasks: int, proc: str = PROC) -> bool:
    """Return False if the whole machine has fewer tasks than `tasks`: one read, not many."""
    try:
        with open(f"{proc}/loadavg", "rb") as file:
            total = int(file.read().split()[3].partition(b"/")[2])
    except (OSError, ValueError, IndexError):
        return True
    return total == 0 or total >= tasks


def tree_of(root: int, most: int | None = None, proc: str = PROC) -> list[Use]:
    """Return what each descendant of a process uses, stopping above `most` tasks."""
    found: dict[int, Use] = {}
    tasks = 0
    try:
        to_visit = _children(root, proc)
    except FileNotFoundError:
        # this kernel keeps no lists of children
        to_visit = [stat.pid for stat in descendants([root], proc)]
    while to_visit and (most is None or tasks <= most):
        pid = to_visit.pop()
        use = None if pid in found else _use(pid, proc)
        if use is not None:
            found[pid] = use
            tasks += use.tasks
            to_visit += _children_if_any(pid, proc)
    return list(found.values())


def memory_of(uses: Iterable[Use], limit: int, proc: str = PROC) -> int:
    """Return the bytes of memory that processes use together.

    This is the sum of RSS, which is cheap but counts shared memory repeatedly; if that exceeds
    `limit`, the sum of PSS, which counts it once.
    """
    seen = list(uses)
    plain = sum(use.rss for use in seen)
    if plain <= limit:
        return plain
    return sum(_pss(use, proc) for use in seen)


def _children(pid: int, proc: str) -> list[int]:
    """Return the children of all threads of a process. Raises FileNotFoundError."""
    found: list[int] = []
    for task in os.listdir(f"{proc}/{pid}/task"):
        with open(f"{proc}/{pid}/task/{task}/children", "rb") as file:
            found += map(int, file.read().split())
    return found


def _children_if_any(pid: int, proc: str) -> list[int]:
    try:
        return _children(pid, proc)
    except (OSError, ValueError):
        return []  # it just ended: its children were adopted, and count in the next pass


def _use(pid: int, proc: str) -> Use | None:
    try:
        with open(f"{proc}/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    fields = text[text.rindex(b")") + 2 :].split()
    return Use(pid, max(1, int(fields[17])), int(fields[21]) * _PAGE)


def _pss(use: Use, proc: str) -> int:
    try:
        with open(f"{proc}/{use.pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        return use.rss  # its memory map is closed to us: use RSS
    return 0  # it has no memory left


def size_of(folder: str, most: int | None = None) -> int:
    """Return the bytes that a folder takes on its own file system, stopping above `most`.

    Counts blocks, not lengths; does not follow links; skips what cannot be read.
    """
    total = 0
    for used in _used_below(folder):
        total += used
        if most is not None and total > most:
            break
    return total


def _used_below(folder: str) -> Iterator[int]:
    try:
        top = os.open(folder, _FOLDER)
    except OSError:
        return
    yield from _used_in(top, os.fstat(top).st_dev, set(), _DEEPEST)


def _used_in(fd: int, device: int, linked: set[int], deeper: int) -> Iterator[int]:
    """Yield the bytes of each entry below the folder open as `fd`, then close it."""
    try:
        with os.scandir(fd) as entries:
            for entry in entries:
                try:
                    stat = entry.stat(follow_symlinks=False)
                    is_folder = entry.is_dir(follow_symlinks=False)
                    if stat.st_dev != device or stat.st_ino in linked:
                        continue
                    if stat.st_nlink > 1 and not is_folder and len(linked) < _MOST_LINKED:
                        linked.add(stat.st_ino)
                    yield stat.st_blocks * _BLOCK
                    if deeper and is_folder:
                        inner = os.open(entry.name, _FOLDER, dir_fd=fd)
                        yield from _used_in(inner, device, linked, deeper - 1)
                except OSError:
                    continue
    finally:
        os.close(fd)


def watch_size(
    folder: str, most: int, seconds: float, tell: Callable[[], None], ends: Callable[[], bool]
) -> None:
    """Measure a folder every `seconds` until it takes more than `most` bytes, then call `tell`.

    More often at first, since a program that fills the disk starts at once. Run it in its own
    thread: a file system that does not answer blocks nothing else.
    """
    pause = min(_FIRST_PAUSE, seconds)
    while not ends():
        began = time.monotonic()
        if size_of(folder, most) > most:
            tell()
            return
        time.sleep(max(pause, (time.monotonic() - began) * _REST))
        pause = min(pause * 2, seconds)
