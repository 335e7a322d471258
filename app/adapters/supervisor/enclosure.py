"""The supervisor's side of a sandbox: it starts the wrapper and talks to process 1 inside."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from collections.abc import Callable, Mapping
from typing import Any

from app.adapters.supervisor.kernel import descendants, read_stat
from app.adapters.supervisor.network import start_proxy
from app.adapters.supervisor.spawn import NotSpawned, spawn

_READY_SECONDS = 30.0
_MOST_WORDS = 2000


class Enclosure:
    """A sandbox that is there: commands are started in it one after the other.

    `control` becomes readable when there is news; when it closes, everything inside ends. `wrapper`
    is the process started here, `init` process 1 inside, both by their numbers outside.
    """

    def __init__(
        self, wrap: list[str], marks: Mapping[str, str], confine: Callable[[], None]
    ) -> None:
        """Start the wrapper `wrap`, whose last words are init's, confined. Raises NotSpawned."""
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
        self._control.settimeout(_READY_SECONDS)
        if "ready" not in self._receive():
            # process 1, if there is one, ends with the socket; the wrapper might not
            self._control.close()
            os.kill(self.wrapper, signal.SIGKILL)
            raise NotSpawned("sandbox", 0, self._last_words())
        self._control.settimeout(None)
        self.init = next(
            (one.pid for one in descendants([self.wrapper]) if _innermost_pid(one.pid) == 1), 0
        )

    @property
    def control(self) -> int:
        """The file that is readable when something has ended inside."""
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
    ) -> int:
        """Start a command inside; its pid as seen here. Raises NotSpawned."""
        fields = {"argv": argv, "env": dict(env), "workdir": workdir, "umask": umask}
        order = os.memfd_create("order")
        try:
            with os.fdopen(os.dup(order), "wb") as file:
                file.write(json.dumps(fields).encode("ascii"))
            os.lseek(order, 0, os.SEEK_SET)
            socket.send_fds(self._control, [b"{}"], [order, standard_input, output])
            answer = self._receive()
        except OSError as problem:
            raise NotSpawned("sandbox", problem.errno or 0, self._last_words()) from problem
        finally:
            os.close(order)
        if "failed" in answer:
            raise NotSpawned(str(answer["failed"]), int(answer["errno"]))
        if "started" not in answer:
            raise NotSpawned("sandbox", 0, self._last_words())
        pid = self._outside_pid(int(answer["started"]))
        with contextlib.suppress(OSError):
            self._control.send(b"{}")
        return pid

    def open_way_out(self, folder: int, network: Mapping[str, Any]) -> None:
        """Let programs inside reach the hosts that `network` names, by a proxy at its `port`.

        What it refuses is recorded in the folder open as `folder`. Raises NotSpawned.
        """
        listening = self._listen(network["port"])
        try:
            self._proxy = start_proxy(listening, folder, network)
        except OSError as problem:
            raise NotSpawned("fork", problem.errno or 0) from problem
        finally:
            os.close(listening)

    def note_buried(self, pid: int) -> None:
        """Heed that a child of the supervisor was reaped: without the wrapper, no proxy."""
        if pid == self._proxy:
            self._proxy = 0
        elif pid == self.wrapper and self._proxy:
            os.kill(self._proxy, signal.SIGKILL)

    def _listen(self, port: int) -> int:
        """A socket that listens at a loopback port of the sandbox's network: inside, process 1
        makes it, and outside, whoever has it is reached by it.
        """
        try:
            self._control.send(json.dumps({"listen": port}).encode("ascii"))
            message, files, _, _ = socket.recv_fds(self._control, 4096, 1)
        except OSError as problem:
            raise NotSpawned("sandbox", problem.errno or 0, self._last_words()) from problem
        if not files:
            failure = json.loads(message) if message else {}
            number = int(failure.get("errno") or 0)
            raise NotSpawned("sandbox", number, self._last_words() or os.strerror(number))
        os.set_inheritable(files[0], False)
        return files[0]

    def news(self) -> int | None:
        """The exit code of the command that has ended; None where the sandbox itself has."""
        return self._receive().get("ended")

    def finish(self) -> None:
        """Send TERM to everything inside; the sandbox ends once nobody is left."""
        with contextlib.suppress(OSError):
            self._control.send(json.dumps({"finish": True}).encode("ascii"))

    def _receive(self) -> dict:
        try:
            message = self._control.recv(4096)
        except OSError:
            message = b""
        return json.loads(message) if message else {}

    def _outside_pid(self, inside: int) -> int:
        """The number outside of a child of process 1, dead ones too; 0 where it is not found."""
        for name in filter(str.isdecimal, os.listdir("/proc")):
            stat = read_stat(int(name))
            if stat and stat.parent == self.init and _innermost_pid(stat.pid) == inside:
                return stat.pid
        return 0

    def _last_words(self) -> str:
        size = os.fstat(self._words).st_size
        words = os.pread(self._words, _MOST_WORDS, max(0, size - _MOST_WORDS))
        return words.decode(errors="replace").strip()


def _innermost_pid(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            for line in file:
                if line.startswith(b"NSpid:"):
                    return int(line.split()[-1])
    except (OSError, ValueError):
        return 0
    return 0
