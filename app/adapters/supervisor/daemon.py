"""Becoming a process that depends on nobody: session, files, signals, identity."""

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

# also how much of the output one read takes
PIPE_BYTES = 1 << 18
# what a caller says once it has written down who this is
GO = b"go\n"
_HEEDED = (signal.SIGTERM, signal.SIGCHLD)
_IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ)


def leave_caller() -> int:
    """Leave the caller's session, folder and files; the file to answer it on."""
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


def hear_signals() -> int:
    """The file that gets a byte for every signal that matters; the others are ignored."""
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
    """Wait for `go`; False where the caller is gone, or this process is to end."""
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
    """The pipe for the agent's output: the side read here, the agent's side."""
    output, agent_side = os.pipe()
    os.set_blocking(output, False)
    # one that may not have a larger pipe has a smaller one
    with suppress(OSError):
        fcntl.fcntl(output, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return output, agent_side


def identify(order: dict) -> dict[str, object]:
    """The fields of the `started` record, the agent's still missing."""
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
