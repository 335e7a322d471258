"""A real Redis or Valkey of a test's own: on a unix socket, nothing on disk, ended by its pid."""

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

from tests.agents_for_tests.runs import until

PROGRAMS = ("redis-server", "valkey-server")
NOWHERE = ("127.0.0.1", "1")


class RedisServer:
    """One server; what befalls servers can befall it."""

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
        """A client that is patient."""
        return redis.Redis(unix_socket_path=str(self.socket), decode_responses=True)

    def answers(self) -> bool:
        """True once it takes commands."""
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def members(self, key: str) -> set[str]:
        """The runs in a window."""
        with self.client() as client:
            return set(cast("list[str]", client.zrange(key, 0, -1)))

    def tell(self, *command: str) -> None:
        """One command."""
        with self.client() as client:
            client.execute_command(*command)

    def kill(self) -> None:
        """End it without warning; safe to repeat."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(10)
            self._process = None

    def freeze(self) -> None:
        """It keeps its connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def refuse_writes(self) -> None:
        """Become a copy of a server that is not there."""
        self.tell("REPLICAOF", *NOWHERE)

    def take_writes(self) -> None:
        """Become a server of its own again."""
        self.tell("REPLICAOF", "NO", "ONE")


@contextmanager
def redis_server(*, started: bool = True) -> Iterator[RedisServer]:
    """A server for the length of a test; skips, loudly, where there is no such program."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("NO REDIS: install redis-server or valkey-server to run this test")
    # a socket's path may have 107 characters: pytest's own folders are too deep
    with tempfile.TemporaryDirectory(prefix="runyard-redis-") as folder:
        server = RedisServer(program, Path(folder))
        try:
            yield server.start() if started else server
        finally:
            server.kill()
