"""Control groups of runs, created near this process's own, in which the kernel enforces limits.

Version 2 where it is delegated to us with its memory and pids controllers; version 1 where its
folders are writable. A group is named after this installation and its run, is created below this
process's own group (or beside it, if that is `OWN_LEAF`), and is removed once it is empty.

Imported by the supervisor: only standard library modules that load fast.
"""

from __future__ import annotations

import os
import select
import time
from collections import namedtuple
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

from app.adapters.supervisor.kernel import PROC

GROUPS = "/sys/fs/cgroup"
# the group of the server and its supervisors, so that groups of runs can be created beside it
OWN_LEAF = "runyard-own"
_MB = 1000**2
_REMOVALS = 20
_REMOVE_AGAIN_AFTER = 0.01
_DEEPEST = 8

_CONTROLLERS = {"memory_mb": "memory", "processes": "pids"}
_COUNTERS = {"memory_mb": ("memory.events", "oom_kill"), "processes": ("pids.events", "max")}
# how the kernel reports that a limit was reached: a descriptor to wait on (-1: the counter must be
# polled), and the counter of how often it was
Event = namedtuple("Event", "limit fd mask counter")


def name_of(instance: str, run_id: str) -> str:
    """Return the name of a run's group."""
    return f"runyard-{instance}-{run_id}"


def tree_of(instance: str, run_id: str) -> str:
    """Return the name of the group that a run under landlock cannot leave."""
    return f"{name_of(instance, run_id)}-tree"


class Group:
    """A control group that enforces some of a run's limits.

    `limits` names those limits; `means` names the group's kind for people.
    """

    def __init__(
        self, folder: str, means: str, limits: Collection[str], *, is_ours: bool = True
    ) -> None:
        self.folder = folder
        self._is_ours = is_ours
        self.means = means
        self.limits = frozenset(limits)
        self.events: list[Event] = []
        self._entrance = os.open(f"{folder}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
        self._files: list[int] = []

    def join(self) -> None:
        """Move this process, and all it starts from now on, into the group. Raises OSError."""
        os.write(self._entrance, b"0")

    @property
    def has_signals(self) -> bool:
        """True if the kernel signals every event; otherwise the counters must be polled."""
        return all(event.fd >= 0 for event in self.events)

    def watch(self, limit: str, name: str, counter: str, *, has_signals: bool) -> None:
        """Watch a counter in a file of the group; without `has_signals` it must be polled."""
        file = self._open(name)
        os.read(file, 4096)  # only changes after this read are reported
        event = Event(limit, file if has_signals else -1, select.POLLPRI, (file, counter))
        self.events.append(event)

    def watch_by_eventfd(self, limit: str, name: str, counter: str) -> None:
        """Watch a memory counter of version 1, which reports through an eventfd."""
        file = self._open(name)
        news = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._files.append(news)
        write(self.folder, "cgroup.event_control", f"{news} {file}")
        self.events.append(Event(limit, news, select.POLLIN, (file, counter)))

    def take_reached(self) -> list[str]:
        """Return the limits reached since the group was created, and clear its eventfds."""
        for event in self.events:
            if event.mask == select.POLLIN:
                with suppress(BlockingIOError):
                    os.read(event.fd, 8)
        return [event.limit for event in self.events if _count(*event.counter) > 0]

    def members(self) -> list[int]:
        """Return the pids in the group and in all groups below it."""
        return [pid for folder in _below(self.folder) for pid in pids_in(folder)]

    def kill(self) -> bool:
        """Kill everything in the group at once; return False if this kernel cannot."""
        return write_if_able(self.folder, "cgroup.kill", "1")

    def close(self) -> None:
        """Close the files; remove the group if we created it and it is empty."""
        for file in (self._entrance, *self._files):
            with suppress(OSError):
                os.close(file)
        if not self._is_ours:
            return
        for _ in range(_REMOVALS):
            if remove(self.folder):
                return
            time.sleep(_REMOVE_AGAIN_AFTER)  # the last process is still exiting

    def _open(self, name: str) -> int:
        file = os.open(f"{self.folder}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        self._files.append(file)
        return file


def make_groups(
    name: str, limits: Mapping[str, int], *, proc: str = PROC, groups: str = GROUPS
) -> list[Group]:
    """Create groups of this name for those limits that this machine can enforce by groups.

    Of `limits`, only `memory_mb` and `processes` are used.
    """
    made: list[Group] = []
    wanted = {limit: figure for limit, figure in limits.items() if limit in _CONTROLLERS}
    for make in (_make_version_2, _make_version_1):
        missing = {
            limit: figure
            for limit, figure in wanted.items()
            if not any(limit in group.limits for group in made)
        }
        if missing:
            made += make(name, missing, proc, groups)
    return made


def look_into(folder: str, limits: Collection[str]) -> Group:
    """Open a version 2 group that systemd created for a run of ours. Raises OSError."""
    group = Group(folder, "systemd", limits, is_ours=False)
    for limit in group.limits:
        group.watch(limit, *_COUNTERS[limit], has_signals=True)
    return group


def path_of(pid: int, *, proc: str = PROC, groups: str = GROUPS) -> str | None:
    """Return the folder of a process's version 2 group (pid 0: this process), None if unknown."""
    with suppress(OSError), open(f"{proc}/{pid or 'self'}/cgroup", encoding="utf-8") as file:
        for line in file:
            if line.startswith("0::"):
                return groups + line[3:].rstrip("\n")
    return None


def remove(folder: str) -> bool:
    """Remove a group and all groups below it; return False if one cannot be removed."""
    for one in sorted(_below(folder), key=len, reverse=True):
        try:
            os.rmdir(one)
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True


def write(folder: str, name: str, text: str) -> None:
    """Write a file of a group. Raises OSError."""
    file = os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(file, text.encode("ascii"))
    finally:
        os.close(file)


def write_if_able(folder: str, name: str, text: str) -> bool:
    """Write a file of a group; return False if it does not exist or cannot be written."""
    try:
        write(folder, name, text)
    except OSError:
        return False
    return True


def _make_version_2(name: str, limits: Mapping[str, int], proc: str, groups: str) -> list[Group]:
    place = _place("", proc, groups)
    given = words_in(place, "cgroup.subtree_control") if place else frozenset()
    held = {limit: figure for limit, figure in limits.items() if _CONTROLLERS[limit] in given}
    return _make(f"{place}/{name}", "cgroup v2", held, _set_version_2) if held else []


def _make_version_1(name: str, limits: Mapping[str, int], proc: str, groups: str) -> list[Group]:
    made: list[Group] = []
    for limit, figure in limits.items():
        place = _place(_CONTROLLERS[limit], proc, groups)
        if place is not None:
            made += _make(f"{place}/{name}", "cgroup v1", {limit: figure}, _set_version_1)
    return made


def _set_version_2(group: Group, limits: Mapping[str, int]) -> None:
    if "memory_mb" in limits:
        write(group.folder, "memory.max", str(limits["memory_mb"] * _MB))
        # swap counts as memory, and a run that reaches the limit is killed whole
        write_if_able(group.folder, "memory.swap.max", "0")
        write(group.folder, "memory.oom.group", "1")
        group.watch("memory_mb", *_COUNTERS["memory_mb"], has_signals=True)
    if "processes" in limits:
        write(group.folder, "pids.max", str(limits["processes"]))
        group.watch("processes", *_COUNTERS["processes"], has_signals=True)
    # a writable folder does not prove that we may move a process into it
    _try_out(group)


def _set_version_1(group: Group, limits: Mapping[str, int]) -> None:
    if "processes" in limits:
        write(group.folder, "pids.max", str(limits["processes"]))
        # version 1 does not notify about this file
        group.watch("processes", *_COUNTERS["processes"], has_signals=False)
        return
    size = str(limits["memory_mb"] * _MB)
    write(group.folder, "memory.limit_in_bytes", size)
    write_if_able(group.folder, "memory.memsw.limit_in_bytes", size)
    group.watch_by_eventfd("memory_mb", "memory.oom_control", "oom_kill")


def _make(
    folder: str,
    means: str,
    limits: Mapping[str, int],
    set_up: Callable[[Group, Mapping[str, int]], None],
) -> list[Group]:
    """Return a list with the configured group, or an empty one if it cannot be set up."""
    remove(folder)
    try:
        os.mkdir(folder, 0o755)
    except OSError:
        return []
    try:
        group = Group(folder, means, limits)
    except OSError:
        remove(folder)
        return []
    try:
        set_up(group, limits)
    except OSError:
        group.close()
        return []
    return [group]


def _try_out(group: Group) -> None:
    """Move a child into the group for a moment. Raises OSError if that is refused."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            group.join()
            code = 0
        finally:
            os._exit(code)
    if os.waitpid(pid, 0)[1] != 0:
        raise PermissionError(group.folder)


def _place(kind: str, proc: str, groups: str) -> str | None:
    """Return the folder in which groups of runs are created, None if there is none."""
    own = own_group(proc, groups, kind)
    if own is not None and not kind and os.path.basename(own) == OWN_LEAF:
        return os.path.dirname(own)
    return own


def own_group(proc: str, groups: str, kind: str) -> str | None:
    """Return this process's group of version 1's controller `kind`, or of version 2 if empty."""
    try:
        with open(f"{proc}/self/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.split(":", 2) for line in file.read().splitlines()]
    except OSError:
        return None
    for _, kinds, path in lines:
        if kind not in kinds.split(","):
            continue
        roots = (f"{groups}/{kind}",) if kind else (groups, f"{groups}/unified")
        # inside a container the path may be as seen from outside
        for candidate in (f"{root}{below}".rstrip("/") for root in roots for below in (path, "")):
            if os.getpid() in pids_in(candidate):
                return candidate
    return None


def _below(folder: str, depth: int = 0) -> list[str]:
    found = [folder]
    if depth < _DEEPEST:
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    found += _below(entry.path, depth + 1)
    return found


def pids_in(folder: str) -> list[int]:
    """Return the pids in a group, none if it cannot be read."""
    try:
        with open(f"{folder}/cgroup.procs", "rb") as file:
            return [int(pid) for pid in file.read().split()]
    except (OSError, ValueError):
        return []


def words_in(folder: str, name: str) -> frozenset[str]:
    """Return the words in a file of a group, none if it cannot be read."""
    try:
        with open(f"{folder}/{name}", encoding="ascii") as file:
            return frozenset(file.read().split())
    except (OSError, ValueError):
        return frozenset()


def _count(file: int, counter: str) -> int:
    try:
        text = os.pread(file, 4096, 0).decode("ascii", "replace")
        return int(dict(line.split(maxsplit=1) for line in text.splitlines())[counter])
    except (OSError, ValueError, KeyError):
        return 0
