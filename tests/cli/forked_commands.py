"""Commands as processes forked from one that has imported the command line already.

Starting Python and importing it all are nine tenths of what a command costs. Each command is
started the whole way once, in test_every_command.py; its start has tests in test_start_up.py.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.cli.main import main

ROOT = Path(__file__).parents[2]
ROOM = 200_000  # for the words and the environment
Streams = tuple[int, int, int]


class Forker:
    """A process that forks one command after the other."""

    def __init__(self, door: socket.socket) -> None:
        self._door = door

    def run(self, words: list[str], env: dict[str, str], streams: Streams, seconds: float) -> int:
        """Run a command on these streams; its exit code. TimeoutError where it takes longer."""
        order = json.dumps({"words": words, "env": env}).encode()
        self._door.settimeout(None)
        socket.send_fds(self._door, [order], streams)
        pid = int(self._door.recv(ROOM))
        self._door.settimeout(seconds)
        try:
            return int(self._door.recv(ROOM))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            self._door.settimeout(None)
            self._door.recv(ROOM)
            raise


@contextlib.contextmanager
def a_forker() -> Iterator[Forker]:
    """A process that forks commands, for as long as it is needed."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    argv = [sys.executable, "-m", "tests.cli.forked_commands", str(theirs.fileno())]
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]):
        theirs.close()
        with ours:
            yield Forker(ours)


def rehearse() -> None:
    """Run a command that finds no server: what commands load as they go is loaded from then on."""
    with contextlib.suppress(SystemExit), open(os.devnull, "w") as nowhere:
        look_like_new(["runs", "list"], {"RUNYARD_DATA_DIR": os.devnull, "RUNYARD_PORT": "1"})
        sys.stderr = nowhere
        main()


def become_one_of(door: socket.socket) -> dict[str, Any] | None:
    """Fork a command for each order; returns in each of them, and with None at the end."""
    while True:
        order, streams, _, _ = socket.recv_fds(door, ROOM, 3)
        if not order:
            return None
        pid = os.fork()
        if pid == 0:
            door.close()
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
                os.close(stream)
            return json.loads(order)
        for stream in streams:
            os.close(stream)
        door.send(str(pid).encode())
        _, status = os.waitpid(pid, 0)
        door.send(str(os.waitstatus_to_exitcode(status)).encode())


def look_like_new(words: list[str], env: dict[str, str]) -> None:
    """What Python has of its environment and its streams, as if it had been started with them."""
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    sys.argv = ["runyard", *words]
    encoding = env.get("PYTHONIOENCODING")
    sys.stdin = os.fdopen(0, encoding=encoding, closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding=encoding, closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, encoding, "backslashreplace", closefd=False)


if __name__ == "__main__":
    given = socket.socket(fileno=int(sys.argv[1]))
    rehearse()
    gc.freeze()  # what is shared with the commands is not written to
    ordered = become_one_of(given)
    if ordered is not None:
        look_like_new(**ordered)
        main()
