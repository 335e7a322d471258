"""Detection of OOM kills, by the kernel's own counters.

Imported by the supervisor: only standard library modules that load fast.
"""

# stands alone: tests read the kernel's counters without a supervisor

from __future__ import annotations

import signal
from collections.abc import Iterator

from app.adapters.supervisor.kernel import PROC

GROUPS = "/sys/fs/cgroup"
# a shell's exit code for a killed command
_RELAYED = 128 + signal.SIGKILL


def count_kills(proc: str = PROC, groups: str = GROUPS) -> int | None:
    """Return the number of OOM kills so far, None if unknown.

    Counted in this process's control group or, if that has no counter, on the whole machine.
    """
    for counter in (*_of_own_group(proc, groups), f"{proc}/vmstat"):
        count = _read(counter)
        if count is not None:
            return count
    return None


def ran_out(code: int, before: int | None, now: int | None) -> bool:
    """Return True if a SIGKILL that we did not send was an OOM kill.

    `code` is an exit code, or a negative signal number; `before` and `now` count OOM kills.
    """
    is_killed = code in (-signal.SIGKILL, _RELAYED)
    return is_killed and before is not None and now is not None and now > before


def _of_own_group(proc: str, groups: str) -> Iterator[str]:
    try:
        with open(f"{proc}/self/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            yield f"{groups}/memory{path}/memory.oom_control"
        elif not controllers:
            yield f"{groups}{path}/memory.events"


def _read(counter: str) -> int | None:
    try:
        with open(counter, encoding="ascii") as file:
            fields = dict(line.split(maxsplit=1) for line in file)
        return int(fields["oom_kill"])
    except (OSError, ValueError, KeyError):
        return None
