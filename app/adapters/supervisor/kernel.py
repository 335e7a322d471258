"""Kernel interfaces: processes with their start times, pidfds, and a clock that counts sleep.

Imported by the supervisor: only standard library modules that load fast.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import struct
import time
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator

PROC = "/proc"
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_TFD_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_TFD_TIMER_ABSTIME = 1
_DEAD_STATES = frozenset("ZXx")
_FREEZE_ROUNDS = 8

# `started` is the kernel's start time in clock ticks since boot
Stat = namedtuple("Stat", "pid parent state started")


def read_boot_id() -> str:
    """Return the id of the machine's current boot."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def boot_clock() -> float:
    """Return seconds since boot, including sleep and unaffected by setting the clock."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def read_stat(pid: int, proc: str = PROC) -> Stat | None:
    """Return a process, None if there is none. Raises OSError if it cannot be read."""
    try:
        with open(f"{proc}/{pid}/stat", "rb") as file:
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # the name may contain spaces and parentheses: the fields start after the last one
    fields = text[text.rindex(b")") + 2 :].split()
    return Stat(pid, int(fields[1]), chr(fields[0][0]), int(fields[19]))


def is_living(stat: Stat | None) -> bool:
    """Return True unless the process is gone or a zombie."""
    return stat is not None and stat.state not in _DEAD_STATES


def living(proc: str = PROC) -> Iterator[Stat]:
    """Yield every process that is not a zombie. Raises OSError if /proc cannot be read."""
    for name in os.listdir(proc):
        if name.isdecimal():
            stat = read_stat(int(name), proc)
            if stat is not None and is_living(stat):
                yield stat


def descendants(pids: Iterable[int], proc: str = PROC) -> list[Stat]:
    """Return the living descendants of `pids`, without `pids` themselves."""
    children: dict[int, list[Stat]] = {}
    for stat in living(proc):
        children.setdefault(stat.parent, []).append(stat)
    roots = set(pids)
    found: dict[int, Stat] = {}
    to_visit = list(roots)
    while to_visit:
        for child in children.get(to_visit.pop(), ()):
            if child.pid not in found and child.pid not in roots:
                found[child.pid] = child
                to_visit.append(child.pid)
    return list(found.values())


def ancestors(pid: int, proc: str = PROC) -> set[int]:
    """Return the pids of a process and of all its ancestors, process 1 included."""
    found: set[int] = {1}
    while pid > 0 and pid not in found:
        found.add(pid)
        stat = read_stat(pid, proc)
        pid = stat.parent if stat is not None else 0
    return found


def open_verified(pid: int, started: int) -> int | None:
    """Return a pidfd of exactly this process, None if it is gone or its pid was reused."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return None
    is_same = False
    try:
        stat = read_stat(pid)
        is_same = stat is not None and is_living(stat) and stat.started == started
    finally:
        if not is_same:
            os.close(pidfd)
    return pidfd if is_same else None


def pid_of(pidfd: int) -> int:
    """Return the pid of a pidfd's process as seen here, 0 if it is gone or not visible here."""
    with open(f"{PROC}/self/fdinfo/{pidfd}", "rb") as file:
        fields = dict(line.split(b":", 1) for line in file)
    return max(0, int(fields[b"Pid"]))


def send_verified(stat: Stat, signum: int) -> bool:
    """Signal exactly this process; return False if it is gone."""
    pidfd = open_verified(stat.pid, stat.started)
    if pidfd is None:
        return False
    try:
        signal.pidfd_send_signal(pidfd, signum)
    except OSError:
        return False
    finally:
        os.close(pidfd)
    return True


def has_ended(pidfd: int, timeout: float) -> bool:
    """Wait up to `timeout` seconds for a process to end; return True if it has."""
    waiting = select.poll()
    waiting.register(pidfd, select.POLLIN)
    return bool(waiting.poll(max(0, timeout) * 1000))


def kill_all(find: Callable[[], list[Stat]]) -> None:
    """Stop all processes that `find` returns until it returns no new ones, then kill them.

    A stopped process cannot fork while the others are killed.
    """
    frozen: dict[tuple[int, int], Stat] = {}
    for _ in range(_FREEZE_ROUNDS):
        new = [stat for stat in find() if (stat.pid, stat.started) not in frozen]
        if not new:
            break
        for stat in new:
            send_verified(stat, signal.SIGSTOP)
            frozen[stat.pid, stat.started] = stat
    for stat in frozen.values():
        send_verified(stat, signal.SIGKILL)


def bury(note: Callable[[int, int], None]) -> bool:
    """Reap every child that has ended; return False if no child is left.

    `note` is called with each one's pid and exit code, negative for a signal.
    """
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True
        note(pid, os.waitstatus_to_exitcode(status))


def become_subreaper() -> None:
    """Make this process adopt its orphaned descendants."""
    _control(_PR_SET_CHILD_SUBREAPER, 1)


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent `parent` ends."""
    _control(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def hide_memory() -> None:
    """Bar other processes of this user from this one's memory, environment and descriptors."""
    _control(_PR_SET_DUMPABLE, 0)


def _control(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


class Alarm:
    """A timer on the boot clock, as a file descriptor; if due during sleep, it fires on waking."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self._libc.timerfd_create(time.CLOCK_BOOTTIME, _TFD_NONBLOCK_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")

    def ring_at(self, moment: float) -> None:
        """Fire once at `moment`, in seconds of the boot clock; at once if that is past."""
        seconds, rest = divmod(max(moment, 0.001), 1)
        setting = struct.pack("@4l", 0, 0, int(seconds), int(rest * 1e9))
        if self._libc.timerfd_settime(self.fd, _TFD_TIMER_ABSTIME, setting, None) != 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def clear(self) -> None:
        """Clear a pending expiration."""
        try:
            os.read(self.fd, 8)
        except BlockingIOError:
            return
