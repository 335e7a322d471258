"""A real Redis or Valkey for a test: on a unix socket, nothing on disk, ended by pid."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest
import redis

from tests.fakes.agents.runs import until

PROGRAMS = ("redis-server", "valkey-server")
NOWHERE = ("127.0.0.1", "1")


class RedisServer:
    """One server that a test can kill, freeze and make read-only."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"

    def start(self) -> RedisServer:
        """Start it, empty, and wait until it answers."""
        quiet = ("--save", "", "--appendonly", "no", "--dir", str(self._folder))
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "--port", "0", "--unixsocket", str(self.socket), *quiet],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until(self.answers, "redis answers")
        return self

    def client(self) -> redis.Redis:
        """Return a client with redis-py's default timeouts."""
        return redis.Redis(unix_socket_path=str(self.socket), decode_responses=True)

    def answers(self) -> bool:
        """Return True once it accepts commands."""
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def members(self, key: str) -> set[str]:
        """Return the ids of the runs in a window."""
        with self.client() as client:
            return set(cast("list[str]", client.zrange(key, 0, -1)))

    def tell(self, *command: str) -> None:
        """Run one command."""
        with self.client() as client:
            client.execute_command(*command)

    def kill(self) -> None:
        """Kill it without warning; safe to repeat."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(10)
            self._process = None

    def freeze(self) -> None:
        """Suspend it: it keeps its connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def refuse_writes(self) -> None:
        """Make it a read-only replica of a server that does not exist."""
        self.tell("REPLICAOF", *NOWHERE)

    def take_writes(self) -> None:
        """Make it a primary again."""
        self.tell("REPLICAOF", "NO", "ONE")


@contextmanager
def redis_server(*, started: bool = True) -> Iterator[RedisServer]:
    """Run a server for the length of a test; skip, loudly, where no such program is installed."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("NO REDIS: install redis-server or valkey-server to run this test")
    # a socket's path has at most 107 characters: pytest's own folders are too deep
    with tempfile.TemporaryDirectory(prefix="runyard-redis-") as folder:
        server = RedisServer(program, Path(folder))
        try:
            yield server.start() if started else server
        finally:
            server.kill()
