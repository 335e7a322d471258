"""What the kernel is asked for: processes with their start times, pidfds, a clock that sleeps not.

Imported by the supervisor: only modules of the standard library that load fast.
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
    """The id of this boot of the machine."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def boot_clock() -> float:
    """Seconds since boot; time asleep counts, a clock that is set does not."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def read_stat(pid: int, proc: str = PROC) -> Stat | None:
    """One process, None where there is none. Raises OSError where it cannot be told."""
    try:
        with open(f"{proc}/{pid}/stat", "rb") as file:
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # the name may hold spaces and brackets: the fields begin after the last one
    fields = text[text.rindex(b")") + 2 :].split()
    return Stat(pid, int(fields[1]), chr(fields[0][0]), int(fields[19]))


def is_living(stat: Stat | None) -> bool:
    """True unless gone or a zombie."""
    return stat is not None and stat.state not in _DEAD_STATES


def living(proc: str = PROC) -> Iterator[Stat]:
    """Every process that is not a zombie. Raises OSError where the table cannot be read."""
    for name in os.listdir(proc):
        if name.isdecimal():
            stat = read_stat(int(name), proc)
            if stat is not None and is_living(stat):
                yield stat


def descendants(pids: Iterable[int], proc: str = PROC) -> list[Stat]:
    """The living descendants of `pids`, without themselves."""
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
    """The process and whatever it descends from, process 1 included."""
    found: set[int] = {1}
    while pid > 0 and pid not in found:
        found.add(pid)
        stat = read_stat(pid, proc)
        pid = stat.parent if stat is not None else 0
    return found


def open_verified(pid: int, started: int) -> int | None:
    """A pidfd of exactly that process, None where it is gone or another has its number."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return None
    stat = read_stat(pid)
    if stat is not None and is_living(stat) and stat.started == started:
        return pidfd
    os.close(pidfd)
    return None


def pid_of(pidfd: int) -> int:
    """The number here of the process that a pidfd means; 0 where it is gone, or not seen here."""
    with open(f"{PROC}/self/fdinfo/{pidfd}", "rb") as file:
        fields = dict(line.split(b":", 1) for line in file)
    return max(0, int(fields[b"Pid"]))


def send_verified(stat: Stat, signum: int) -> bool:
    """Signal exactly that process; False where it is gone."""
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
    """Wait for a process's end, at most `timeout` seconds."""
    waiting = select.poll()
    waiting.register(pidfd, select.POLLIN)
    return bool(waiting.poll(max(0, timeout) * 1000))


def kill_all(find: Callable[[], list[Stat]]) -> None:
    """Stop whatever `find` finds until it finds nothing new, then kill it.

    Stopping first: what is stopped cannot fork while the others are killed.
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
    """Reap every child that has ended; False when there is none left.

    `note` hears each one's number and exit code, negative for a signal.
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
    """Make orphaned descendants children of this process."""
    _control(_PR_SET_CHILD_SUBREAPER, 1)


def die_with(parent: int) -> None:
    """Have this process killed when its parent, `parent`, ends."""
    _control(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def hide_memory() -> None:
    """Close this process's memory, environment and files to other processes of its user."""
    _control(_PR_SET_DUMPABLE, 0)


def _control(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


class Alarm:
    """A timer on the boot clock, as a file descriptor: it rings on waking from sleep, too."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self._libc.timerfd_create(time.CLOCK_BOOTTIME, _TFD_NONBLOCK_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")

    def ring_at(self, moment: float) -> None:
        """Ring once at `moment`, seconds of the boot clock; at once where that is past."""
        seconds, rest = divmod(max(moment, 0.001), 1)
        setting = struct.pack("@4l", 0, 0, int(seconds), int(rest * 1e9))
        if self._libc.timerfd_settime(self.fd, _TFD_TIMER_ABSTIME, setting, None) != 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def clear(self) -> None:
        """Forget a ring that was heard."""
        try:
            os.read(self.fd, 8)
        except BlockingIOError:
            return
