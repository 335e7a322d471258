"""The limits of one run: how this machine enforces each, and which one was reached.

Memory and processes are limited by the run's own control group, else by a systemd scope, else by
counting; the largest file by RLIMIT_FSIZE; the size of the working copy by measuring. Imported by
the supervisor: only standard library modules that load fast.
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
# the interval once half of a limit is used
_NEAR_SECONDS = 0.1
_MB = 1000**2
# output of a program that reached the file limit, or whose child did: git and Python name the
# signal, a shell describes it
_TOO_LARGE = (
    os.strerror(errno.EFBIG).encode("ascii", "replace").lower(),
    (signal.strsignal(signal.SIGXFSZ) or "SIGXFSZ").encode("ascii", "replace").lower(),
    b"died of signal %d\n" % signal.SIGXFSZ,
    b"sigxfsz",
)
# exit codes of a death by signal: the kernel's, and a shell's
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

# `reason` as in the exit record, `figure` the limit as set
Met = namedtuple("Met", "reason figure")


class Limits:
    """The limits of one run; a figure that is None or missing means no limit.

    `next_look` is when to call `look` again, in seconds of the boot clock; infinite if the kernel
    reports every limit. An idle check is one read of one file (some 20 µs).
    """

    def __init__(
        self, wanted: Mapping[str, int | None], scope: Sequence[str], name: str, copy: str
    ) -> None:
        """Create the groups of this name; `scope` is a command prefix for a systemd scope."""
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
        looks = self._scope or self._counted or not all(one.has_signals for one in self._groups)
        self.next_look = 0.0 if looks else float("inf")

    @property
    def words(self) -> str:
        """The limits and what enforces each, as text for people; empty if there are none."""
        means = {limit: group.means for group in self._groups for limit in group.limits}
        means |= dict.fromkeys(self._rest, "systemd" if self._scope else COUNT)
        said = [
            _WORDS[limit].format(figure) + (f" by {means[limit]}" if limit in means else "")
            for limit, figure in self._figures.items()
        ]
        return " · ".join(said)

    @property
    def signs(self) -> list[tuple[int, int]]:
        """The descriptors that signal a reached limit, each with its poll mask."""
        events = [event for group in self._groups for event in group.events if event.fd >= 0]
        return [(self._size_told, select.POLLIN), *((one.fd, one.mask) for one in events)]

    def around(self, argv: Sequence[str]) -> list[str]:
        """Return the command to start, prefixed with the scope if that enforces a limit."""
        return [*self._scope, *argv]

    def confine(self) -> None:
        """Apply the limits to this process and all it starts; call between fork and exec.

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
        """Start a thread that measures the working copy, if its size is limited."""
        if "disk_mb" in self._figures and not self._is_measuring:
            self._is_measuring = True
            most = self._figures["disk_mb"] * _MB
            how = (self._copy, most, DISK_SECONDS, self._report_copy_size, lambda: self._is_closed)
            _thread.start_new_thread(usage.watch_size, how)

    def look(self, now: float, main: int) -> Met | None:
        """Return the limit that was reached, if any; `main` is the pid of the started process."""
        if self._is_copy_over:
            with suppress(BlockingIOError):
                os.read(self._size_told, 8)
            return self._met("disk_mb")
        if self._scope and not self._is_scope_found:
            self._find_scope(main)
        for group in self._groups:
            for limit in group.take_reached():
                return self._met(limit)
        if now < self.next_look:
            return None
        return self._count(now)

    def why(self, code: int, said: bytes) -> Met | None:
        """Return the limit that made a process exit, if any; `said` is the end of the output."""
        if not code:
            return None
        met = [limit for group in self._groups for limit in group.take_reached()]
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
        """Kill everything in the run's control groups, if the kernel can do that at once."""
        for group in self._groups:
            group.kill()

    def close(self) -> None:
        """Remove the run's control groups; call once nothing of the run is left."""
        self._is_closed = True
        for group in self._groups:
            group.close()
        self._groups = []

    def _met(self, limit: str) -> Met:
        return Met(_REASONS[limit], self._figures[limit])

    def _report_copy_size(self) -> None:
        self._is_copy_over = True
        os.eventfd_write(self._size_told, 1)

    def _find_scope(self, main: int) -> None:
        """Open the scope's group as soon as systemd has created it."""
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
