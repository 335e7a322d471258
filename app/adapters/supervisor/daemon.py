"""Detaching the supervisor from its caller: session, files, signals, identity."""

from __future__ import annotations

import fcntl
import os
import resource
import select
import signal
from contextlib import suppress

from app.adapters.supervisor.kernel import become_subreaper, hide_memory, read_boot_id, read_stat
from app.adapters.supervisor.record_files import timestamp
from app.adapters.supervisor.spawn import keep_own_score

# also the size of one read of the output
PIPE_BYTES = 1 << 18
# the caller's message once it has recorded this process
GO = b"go\n"
_HEEDED = (signal.SIGTERM, signal.SIGCHLD)
_IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ)


def leave_caller() -> int:
    """Leave the caller's session, folder and files; return the descriptor to answer on."""
    os.setsid()
    os.chdir("/")
    answers = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1):
        os.dup2(nothing, fd)
    os.close(nothing)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    become_subreaper()
    keep_own_score()
    hide_memory()
    return answers


def open_signals() -> int:
    """Return a descriptor that gets a byte per SIGTERM or SIGCHLD; ignore hang-ups and the like."""
    wake, signals = os.pipe()
    for fd in (wake, signals):
        os.set_blocking(fd, False)
    signal.set_wakeup_fd(signals, warn_on_full_buffer=False)
    for signum in _HEEDED:
        signal.signal(signum, lambda *_: None)
    for signum in _IGNORED:
        signal.signal(signum, signal.SIG_IGN)
    return wake


def may_begin(orders: int, wake: int) -> bool:
    """Wait for `go`; return False if the caller is gone or SIGTERM arrives."""
    waiting = select.poll()
    for fd in (orders, wake):
        waiting.register(fd, select.POLLIN)
    while True:
        ready = {fd for fd, _ in waiting.poll()}
        if wake in ready and signal.SIGTERM in os.read(wake, PIPE_BYTES):
            return False
        if orders in ready:
            return os.read(orders, len(GO)) == GO


def open_output() -> tuple[int, int]:
    """Open the pipe for the agent's output; return the end read here and the agent's end."""
    output, agent_side = os.pipe()
    os.set_blocking(output, False)
    # a user near the system's pipe limit keeps the default size
    with suppress(OSError):
        fcntl.fcntl(output, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return output, agent_side


def identify(order: dict) -> dict[str, object]:
    """Return the fields of the `started` record, without the agent's."""
    me = read_stat(os.getpid())
    return {
        "run_id": order["run_id"],
        "instance": order["instance"],
        "pid": os.getpid(),
        "started": me.started if me else 0,
        "boot_id": read_boot_id(),
        "grace": order["grace_seconds"],
        "agent": None,
        "at": timestamp(),
    }
