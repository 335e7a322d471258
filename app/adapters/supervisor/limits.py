"""The limits of one run, held by the best means of this machine, and which was reached.

Memory and processes are held by a control group of the run's own, else by a scope of systemd's,
else by counting; the largest file by RLIMIT_FSIZE; the room of the working copy by measuring.
Imported by the supervisor: only modules of the standard library that load fast.
"""

from __future__ import annotations

import _thread
import errno
import os
import resource
import select
import signal
from collections import namedtuple
from collections.abc import Mapping, Sequence
from contextlib import suppress

from app.adapters.supervisor import cgroups, usage

FIGURES = ("memory_mb", "processes", "file_mb", "disk_mb")
_COUNTABLE = ("memory_mb", "processes")
COUNT = "Runyard's own count"
DISK_SECONDS = 10.0
LOOK_SECONDS = 1.0
# what is on its way to its limit is looked at more often
_NEAR_SECONDS = 0.1
_MB = 1000**2
# what is written where a program, or one that it called, met the limit for a file: git and Python
# name the signal, a shell has words for it
_TOO_LARGE = (
    os.strerror(errno.EFBIG).encode("ascii", "replace").lower(),
    (signal.strsignal(signal.SIGXFSZ) or "SIGXFSZ").encode("ascii", "replace").lower(),
    b"died of signal %d\n" % signal.SIGXFSZ,
    b"sigxfsz",
)
# how the end by a signal is told: by the kernel, and by a shell
_KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
_FILE_REFUSED = (-signal.SIGXFSZ, 128 + signal.SIGXFSZ)
_REASONS = {
    "memory_mb": "out_of_memory",
    "processes": "too_many_processes",
    "file_mb": "file_limit",
    "disk_mb": "disk_quota",
}
_WORDS = {
    "memory_mb": "memory {:,} MB",
    "processes": "{:,} processes",
    "file_mb": "files {:,} MB",
    "disk_mb": "disk {:,} MB",
}

# `reason` as in the exit record, `figure` that of the limit
Met = namedtuple("Met", "reason figure")


class Limits:
    """The limits of one run; None or a missing figure: as much as there is.

    `next_look` is when, in seconds of the boot clock, `look` wants to be asked again, infinite
    where the kernel wakes us; a look at rest is one read of one file (some 20 µs).
    """

    def __init__(
        self, wanted: Mapping[str, int | None], scope: Sequence[str], name: str, copy: str
    ) -> None:
        """Make the groups of this name; `scope` takes a command into a scope, where that works."""
        self._figures = {one: int(wanted[one] or 0) for one in FIGURES if wanted.get(one)}
        self._copy = copy
        self._groups = cgroups.make_groups(name, self._figures)
        held = {limit for group in self._groups for limit in group.limits}
        self._rest = [one for one in _COUNTABLE if one in self._figures and one not in held]
        self._scope = list(scope) if self._rest else []
        self._is_scope_found = False
        self._counted = [] if self._scope else self._rest
        self._size_told = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._is_measuring = False
        self._is_copy_over = False
        self._is_closed = False
        looks = self._scope or self._counted or not all(one.tells for one in self._groups)
        self.next_look = 0.0 if looks else float("inf")

    @property
    def words(self) -> str:
        """The limits and what holds each, as people read them; empty where there are none."""
        means = {limit: group.means for group in self._groups for limit in group.limits}
        means |= dict.fromkeys(self._rest, "systemd" if self._scope else COUNT)
        said = [
            _WORDS[limit].format(figure) + (f" by {means[limit]}" if limit in means else "")
            for limit, figure in self._figures.items()
        ]
        return " · ".join(said)

    @property
    def signs(self) -> list[tuple[int, int]]:
        """The files that tell of a limit that was met, each with what to poll it for."""
        events = [event for group in self._groups for event in group.events if event.fd >= 0]
        return [(self._size_told, select.POLLIN), *((one.fd, one.mask) for one in events)]

    def around(self, argv: Sequence[str]) -> list[str]:
        """The command as it is to be started: inside the scope where that is what holds it."""
        return [*self._scope, *argv]

    def confine(self) -> None:
        """Hold this process, and all it starts, to the limits: between fork and exec.

        Raises OSError.
        """
        for group in self._groups:
            group.join()
        if "file_mb" in self._figures:
            most = self._figures["file_mb"] * _MB
            hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            least = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(resource.RLIMIT_FSIZE, (least, least))

    def begin(self) -> None:
        """Begin to measure the working copy, if that is limited, in a thread of its own."""
        if "disk_mb" in self._figures and not self._is_measuring:
            self._is_measuring = True
            most = self._figures["disk_mb"] * _MB
            how = (self._copy, most, DISK_SECONDS, self._tell_of_copy, lambda: self._is_closed)
            _thread.start_new_thread(usage.watch_size, how)

    def look(self, now: float, main: int) -> Met | None:
        """The limit that was met, if any; `main` is the process that was started."""
        if self._is_copy_over:
            with suppress(BlockingIOError):
                os.read(self._size_told, 8)
            return self._met("disk_mb")
        if self._scope and not self._is_scope_found:
            self._find_scope(main)
        for group in self._groups:
            for limit in group.met():
                return self._met(limit)
        if now < self.next_look:
            return None
        return self._count(now)

    def why(self, code: int, said: bytes) -> Met | None:
        """The limit that an end by itself was caused by; `said` is the last of the output."""
        if not code:
            return None
        met = [limit for group in self._groups for limit in group.met()]
        if "memory_mb" in met and code in _KILLED:
            return self._met("memory_mb")
        if "processes" in met:
            return self._met("processes")
        said = said.lower()
        if "file_mb" in self._figures and (
            code in _FILE_REFUSED or any(words in said for words in _TOO_LARGE)
        ):
            return self._met("file_mb")
        return None

    def kill(self) -> None:
        """Kill all that a control group of the run holds, where the kernel does that at once."""
        for group in self._groups:
            group.kill()

    def close(self) -> None:
        """Nothing of the run is left: its control groups go."""
        self._is_closed = True
        for group in self._groups:
            group.close()
        self._groups = []

    def _met(self, limit: str) -> Met:
        return Met(_REASONS[limit], self._figures[limit])

    def _tell_of_copy(self) -> None:
        self._is_copy_over = True
        os.eventfd_write(self._size_told, 1)

    def _find_scope(self, main: int) -> None:
        """Look at the scope from the first time on at which systemd has made it."""
        folder = cgroups.path_of(main)
        if folder is not None and folder.endswith(".scope") and folder != cgroups.path_of(0):
            with suppress(OSError):
                self._groups.append(cgroups.look_into(folder, self._rest))
                self._is_scope_found = True

    def _count(self, now: float) -> Met | None:
        self.next_look = now + LOOK_SECONDS
        most = self._figures.get("processes") if "processes" in self._counted else None
        memory = self._figures["memory_mb"] * _MB if "memory_mb" in self._counted else None
        if memory is None and (most is None or not usage.may_have(most)):
            return None
        uses = usage.tree_of(os.getpid(), most)
        tasks = sum(use.tasks for use in uses)
        used = 0 if memory is None else usage.memory_of(uses, memory)
        if most is not None and tasks > most:
            return self._met("processes")
        if memory is not None and used > memory:
            return self._met("memory_mb")
        if tasks * 2 > (most or tasks * 2) or used * 2 > (memory or used * 2):
            self.next_look = now + _NEAR_SECONDS
        return None
