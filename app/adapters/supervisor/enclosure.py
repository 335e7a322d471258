"""The supervisor's side of a sandbox: starts the wrapper and talks to process 1 inside."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
from collections.abc import Callable, Mapping

from app.adapters.supervisor.kernel import Stat, pid_of, read_stat
from app.adapters.supervisor.network import start_proxy
from app.adapters.supervisor.spawn import NotSpawned, spawn

# stands in for typing.TYPE_CHECKING: importing typing would take half as long as all the rest
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# limit of one step inside: waiting forever would keep the supervisor from the deadline
_ANSWER_SECONDS = 60.0
_MOST_WORDS = 2000


class Enclosure:
    """A running sandbox, in which commands are started one after another.

    `control` becomes readable when something ends inside; closing it ends everything inside.
    `wrapper` is the pid of the process started here and `init` that of process 1 inside, both as
    seen outside; `init` is 0 without a PID namespace, where its end proves nothing.
    """

    def __init__(
        self, wrap: list[str], marks: Mapping[str, str], confine: Callable[[], None]
    ) -> None:
        """Start the command `wrap`, which ends with init's, under `confine`. Raises NotSpawned."""
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._words = os.memfd_create("words")
        self._proxy = 0
        with theirs:
            self.wrapper = spawn(
                wrap,
                {"PATH": os.defpath, **marks},
                "/",
                output=self._words,
                umask=0o077,
                standard_input=theirs.fileno(),
                confine=confine,
            )
        self._control.settimeout(_ANSWER_SECONDS)
        answer = self._receive()
        if "ready" not in answer:
            # process 1, if there is one, ends with the socket; the wrapper might not
            self._control.close()
            os.kill(self.wrapper, signal.SIGKILL)
            raise NotSpawned("sandbox", 0, self._last_words())
        self.init = answer["pid"] if answer["ready"] == 1 else 0

    @property
    def control(self) -> int:
        """The descriptor that becomes readable when something ends inside."""
        return self._control.fileno()

    def run(
        self,
        argv: list[str],
        env: Mapping[str, str],
        workdir: str,
        *,
        output: int,
        umask: int,
        standard_input: int,
    ) -> Stat | None:
        """Start a command inside; return its process as seen outside, None if it is already gone.

        Raises NotSpawned.
        """
        fields = {"argv": argv, "env": dict(env), "workdir": workdir, "umask": umask}
        try:
            with (
                os.fdopen(_in_memory(json.dumps(fields).encode("ascii"))) as order,
                os.fdopen(_apart(standard_input)) as reads,
            ):
                files = [order.fileno(), reads.fileno(), output]
                socket.send_fds(self._control, [b"{}"], files)
            answer = self._receive()
        except OSError as problem:
            raise NotSpawned("sandbox", problem.errno or 0, self._last_words()) from problem
        if "failed" in answer:
            raise NotSpawned(str(answer["failed"]), int(answer["errno"]))
        if "started" not in answer:
            raise NotSpawned("sandbox", 0, self._last_words())
        found = read_stat(answer["pid"])
        with contextlib.suppress(OSError):
            self._control.send(b"{}")
        return found

    def open_way_out(self, folder: int, network: Mapping[str, Any]) -> None:
        """Let programs inside reach the hosts that `network` allows, through a proxy on its `port`.

        Refusals are recorded in the folder open as `folder`. Raises NotSpawned.
        """
        listening = self._listen(network["port"])
        try:
            self._proxy = start_proxy(listening, folder, network)
        except OSError as problem:
            raise NotSpawned("fork", problem.errno or 0) from problem
        finally:
            os.close(listening)

    def note_buried(self, pid: int) -> None:
        """Handle a reaped child of the supervisor: if it is the wrapper, kill the proxy."""
        if pid == self._proxy:
            self._proxy = 0
        elif pid == self.wrapper and self._proxy:
            os.kill(self._proxy, signal.SIGKILL)

    def _listen(self, port: int) -> int:
        """Return a socket, created by process 1, that listens on a loopback port inside.

        Raises NotSpawned.
        """
        try:
            self._control.send(json.dumps({"listen": port}).encode("ascii"))
            answer, file = self._take_message()
        except OSError as problem:
            raise NotSpawned("sandbox", problem.errno or 0, self._last_words()) from problem
        if file is None:
            number = int(answer.get("errno") or 0)
            raise NotSpawned("sandbox", number, self._last_words() or os.strerror(number))
        return file

    def read_exit_code(self) -> int | None:
        """Return the exit code of the command that ended, None if the sandbox itself ended."""
        return self._receive().get("ended")

    def finish(self) -> None:
        """Send SIGTERM to everything inside; the sandbox ends once no process is left."""
        with contextlib.suppress(OSError):
            self._control.send(json.dumps({"finish": True}).encode("ascii"))

    def _receive(self) -> dict:
        """Return the next message, {} at the end; a passed process is in `pid`, as seen here.

        The pid is still valid: process 1 does not reap the process before an acknowledgment.
        """
        try:
            message, pidfd = self._take_message()
        except OSError:
            return {}
        if pidfd is not None:
            message["pid"] = pid_of(pidfd)
            os.close(pidfd)
        return message

    def _take_message(self) -> tuple[dict, int | None]:
        """Return the next message and the descriptor passed with it. Raises OSError."""
        cloexec = socket.MSG_CMSG_CLOEXEC
        message, files, _, _ = socket.recv_fds(self._control, 4096, 1, cloexec)
        return json.loads(message) if message else {}, files[0] if files else None

    def _last_words(self) -> str:
        size = os.fstat(self._words).st_size
        words = os.pread(self._words, _MOST_WORDS, max(0, size - _MOST_WORDS))
        return words.decode(errors="replace").strip()


def _apart(file: int) -> int:
    """Copy a regular file into memory: its own descriptor could be reopened for writing."""
    seen = os.fstat(file)
    return (
        _in_memory(os.pread(file, seen.st_size, 0)) if stat.S_ISREG(seen.st_mode) else os.dup(file)
    )


def _in_memory(content: bytes) -> int:
    file = os.memfd_create("given")
    with os.fdopen(os.dup(file), "wb") as writing:
        writing.write(content)
    os.lseek(file, 0, os.SEEK_SET)
    return file
