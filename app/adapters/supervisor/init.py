"""Process 1 of a sandbox: starts what the supervisor asks for, reaps the dead, exits last.

Its stdin is one end of the control socket. When that closes because the supervisor is gone, this
process exits, and everything inside is killed with it: by the kernel in a PID namespace, by the
keeper under landlock. Imports only standard library modules that load fast.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys

from app.adapters.supervisor.kernel import become_subreaper, bury, hide_memory
from app.adapters.supervisor.spawn import NotSpawned, be_taken_first, spawn

_BACKLOG = 128


def serve() -> None:
    """Serve the control socket on stdin until no process is left inside, then exit."""
    # an agent must not inherit or reopen the control socket
    control = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.close(nothing)
    be_taken_first()
    hide_memory()
    if os.getpid() != 1:
        # without a PID namespace, adopt and reap the orphans inside
        become_subreaper()
    sys.exit(0 if Init(control).serve() else 1)


class Init:
    """The one process inside that the agent cannot kill, stop or read."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._wake = _open_child_signals()
        self._main = 0
        self._is_finishing = False

    def serve(self) -> bool:
        """Return True once asked to finish and no process is left, False if the supervisor dies."""
        self._hand_over({"ready": os.getpid()}, os.getpid())
        waiting = select.poll()
        waiting.register(self._control, select.POLLIN)
        waiting.register(self._wake, select.POLLIN)
        while True:
            ready = {fd for fd, _ in waiting.poll()}
            if self._wake in ready:
                os.read(self._wake, 4096)
            if self._control.fileno() in ready and not self._obey():
                return False
            if not bury(self._note_end) and self._is_finishing:
                return True

    def _obey(self) -> bool:
        """Handle one message from the supervisor; return False if it is gone."""
        message, files, _, _ = socket.recv_fds(self._control, 4096, 3)
        if not message:
            return False
        asked = json.loads(message)
        if asked.get("finish"):
            self._is_finishing = True
            _end_all_others()
        elif "listen" in asked:
            self._listen(asked["listen"])
        elif len(files) == 3:
            self._run(*files)
        return True

    def _listen(self, port: int) -> None:
        """Send back a socket that listens on a loopback port of this sandbox's network."""
        try:
            with socket.create_server(("127.0.0.1", port), backlog=_BACKLOG) as listening:
                socket.send_fds(self._control, [b'{"listening": true}'], [listening.fileno()])
        except OSError as problem:
            self._send({"failed": "network", "errno": problem.errno})

    def _run(self, order: int, reads: int, output: int) -> None:
        with os.fdopen(order, "rb") as file:
            fields = json.load(file)
        try:
            self._main = spawn(
                fields["argv"],
                fields["env"],
                fields["workdir"],
                output=output,
                umask=fields["umask"],
                standard_input=reads,
            )
        except NotSpawned as problem:
            self._send({"failed": problem.stage, "errno": problem.errno})
            return
        finally:
            os.close(reads)
            os.close(output)
        self._hand_over({"started": True}, self._main)
        # do not reap the child before the supervisor has read its pid
        self._control.recv(4096)

    def _note_end(self, pid: int, code: int) -> None:
        if pid == self._main:
            self._main = 0
            self._send({"ended": code})

    def _hand_over(self, fields: dict[str, object], pid: int) -> None:
        """Send a message with a pidfd: the process has a different pid outside."""
        process = os.pidfd_open(pid)
        self._send(fields, process)
        os.close(process)

    def _send(self, fields: dict[str, object], *files: int) -> None:
        try:
            socket.send_fds(self._control, [json.dumps(fields).encode("ascii")], files)
        except OSError:
            # the supervisor is gone: the next read of the socket shows it
            return


def _open_child_signals() -> int:
    wake, signals = os.pipe()
    for fd in (wake, signals):
        os.set_blocking(fd, False)
    signal.set_wakeup_fd(signals, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # the kernel drops signals that process 1 does not handle; Python handles SIGINT by default
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return wake


def _end_all_others() -> None:
    """Send SIGTERM to every other process inside, and SIGCONT so that stopped ones handle it."""
    for signum in (signal.SIGTERM, signal.SIGCONT):
        try:
            os.kill(-1, signum)
        except ProcessLookupError:
            return
