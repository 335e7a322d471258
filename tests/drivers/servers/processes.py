"""Real server processes for tests: started from main.py, ended by pid, killed without warning."""

from __future__ import annotations

import contextlib
import os
import random
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import httpx

from app.config import Settings
from tests.builders.databases import own_database, put_database
from tests.drivers.servers.forked_starts import (
    GUARDED,
    ROOT,
    SERVER,
    ForkedProcess,
    Streams,
    clean_environment,
    start_forked,
)
from tests.drivers.store_guard import ASTRAY

START_SECONDS = 60.0
WAIT_SECONDS = 30.0
# loading certificates takes longer than a call, and plain HTTP needs none
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
PORTS = (20_000, 32_000)
LINK = rb"https?://\S+/login\?token=\S+(?=\n)"
# printed instead of a link when none can be made yet
LATER = rb"A link, later: .+(?=\n)"


@dataclass
class RunyardServer:
    """A server on its own data folder; it can be killed and started again.

    A fresh one is `python main.py` on the folder as it is. Any other is a fork of a process with
    the imports done, and gets a ready database if its folder is empty.
    """

    data_dir: Path
    settings: dict[str, str] = field(default_factory=dict)
    port: int = 0
    options: tuple[str, ...] = ()
    login_link: str = ""
    process: subprocess.Popen[bytes] | ForkedProcess | None = None
    is_fresh: bool = False
    said: IO[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def page_host(self) -> str:
        """The Host of its pages, to which it redirects browsers that ask at `url`."""
        if "RUNYARD_PAGE_HOST" in self.settings:
            return f"{self.settings['RUNYARD_PAGE_HOST']}:{self.port}"
        return f"{(self.data_dir / 'page-host').read_text().strip()}:{self.port}"

    @property
    def page_url(self) -> str:
        """The origin of its pages."""
        return f"http://{self.page_host}"

    @property
    def token(self) -> str:
        """The local operator's token."""
        return (self.data_dir / "token").read_text().strip()

    @property
    def log(self) -> str:
        """The server's log so far."""
        return (self.data_dir / "server.log").read_text()

    def start(self, until: bytes = LINK) -> RunyardServer:
        """Start it and wait until its output matches `until`, by default the sign-in link."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port()
        said, output = os.pipe()
        self.said = os.fdopen(said, "rb", 0)
        with (
            (self.data_dir / "server.log").open("a") as log,
            open(os.devnull) as nothing,
            os.fdopen(output, "wb", 0) as out,
        ):
            self.process = self._begin((nothing.fileno(), out.fileno(), log.fileno()))
        self.login_link = self._read_until(until)
        return self

    def kill(self) -> None:
        """Kill it without warning, as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Send it SIGTERM and wait until it has ended."""
        self._end(signal.SIGTERM)

    def client(self, **headers: str) -> httpx.Client:
        """Return a client with the operator's token."""
        return httpx.Client(
            base_url=f"{self.url}/api/v1",
            headers={"Authorization": f"Bearer {self.token}", **headers},
            timeout=WAIT_SECONDS,
            trust_env=False,
            verify=NO_CERTIFICATES,
        )

    def visitor(self, **headers: str) -> httpx.Client:
        """Return a client like a browser; it sets Host itself, as it cannot resolve *.localhost."""
        return httpx.Client(
            base_url=self.url,
            headers={"Host": self.page_host, **headers},
            timeout=WAIT_SECONDS,
            trust_env=False,
            verify=NO_CERTIFICATES,
        )

    def new_link(self) -> str:
        """Return a new link that signs a browser in once."""
        with self.client() as client:
            return str(client.post("/login-links").json()["url"])

    def _arguments(self) -> list[str]:
        return [
            *("serve", "--no-open", "--port", str(self.port)),
            *("--data-dir", str(self.data_dir)),
            *self.options,
        ]

    def _begin(self, streams: Streams) -> subprocess.Popen[bytes] | ForkedProcess:
        words, env = self._arguments(), self._environment()
        if not self.is_fresh:
            self._put_schema(env.get("RUNYARD_DATABASE_URL"))
            return start_forked(SERVER, words, env, streams)
        stdin, stdout, stderr = streams
        argv = [sys.executable, "main.py", *words]
        return subprocess.Popen(argv, cwd=ROOT, env=env, stdin=stdin, stdout=stdout, stderr=stderr)

    def _environment(self) -> dict[str, str]:
        chosen = "RUNYARD_DATABASE_URL" in self.settings
        databases = {} if chosen else own_database(self.data_dir)
        own = {f"RUNYARD_{name.upper()}": url for name, url in databases.items()}
        if "RUNYARD_RUNS_DATABASE_URL" in own | self.settings:
            own[GUARDED] = "1"
        return clean_environment() | own | self.settings

    def _put_schema(self, address: str | None) -> None:
        # only in an empty folder: in a used one the server must see what is missing
        if {file.name for file in self.data_dir.iterdir()} <= {"server.log"}:
            put_database(Settings(data_dir=self.data_dir, database_url=address))

    def _read_until(self, wanted: bytes) -> str:
        assert self.said is not None
        said, until = b"", time.monotonic() + START_SECONDS
        while (left := until - time.monotonic()) > 0:
            # read the pipe itself: select cannot see what a text buffer holds back
            if not select.select([self.said], [], [], left)[0]:
                break
            piece = os.read(self.said.fileno(), 4096)
            said += piece
            found = re.search(wanted, said)
            if found:
                return found[0].decode()
            if not piece:
                break
        self.kill()
        raise AssertionError(f"the server did not start:\n{self.log[-3000:]}")

    def _end(self, how: signal.Signals) -> None:
        if self.process is None:
            return
        self.process.send_signal(how)
        self.process.wait(WAIT_SECONDS)
        if self.said is not None:
            self.said.close()
        self.process = None


@contextmanager
def running_server(data_dir: Path, **settings: str) -> Iterator[RunyardServer]:
    """Run a server for the length of a test; `settings` are environment variables."""
    with _ended_after(RunyardServer(data_dir, settings)) as server:
        yield server


@contextmanager
def fresh_server(data_dir: Path, **settings: str) -> Iterator[RunyardServer]:
    """Run a server that is started from main.py, not forked."""
    with _ended_after(RunyardServer(data_dir, settings, is_fresh=True)) as server:
        yield server


def refused_start(data_dir: Path, port: int = 0, **settings: str) -> tuple[int, str]:
    """Start a forked server that is expected to refuse; return its exit code and its errors."""
    words = ["serve", "--no-open", "--data-dir", str(data_dir), "--port"]
    with tempfile.TemporaryFile() as errors, open(os.devnull, "r+b") as nothing:
        streams = (nothing.fileno(), nothing.fileno(), errors.fileno())
        env = clean_environment() | settings
        process = start_forked(SERVER, [*words, str(port or free_port())], env, streams)
        code = process.wait(START_SECONDS)
        errors.seek(0)
        return code, errors.read().decode()


@contextmanager
def _ended_after(server: RunyardServer) -> Iterator[RunyardServer]:
    server.start()
    try:
        yield server
    finally:
        server.stop()
    assert ASTRAY not in server.log, "one of two stores was asked for the other's: see the log"


def free_port() -> int:
    """Return a port without a listener, below those that outgoing connections use."""
    while True:
        port = random.randrange(*PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port


def wait_for(client: httpx.Client, path: str, is_so: Callable[[Any], bool]) -> Any:
    """Read `path` again on each event of the feed, until `is_so`; bounded in time."""
    until = time.monotonic() + WAIT_SECONDS
    with client.stream("GET", "/events") as feed:
        lines = feed.iter_lines()
        next(lines)  # the subscription has begun: no event is missed from here on
        answer = client.get(path).json()
        while not is_so(answer):
            assert time.monotonic() < until, f"{path} never came to it: {answer}"
            line = next(lines)
            if line.startswith("data:"):
                answer = client.get(path).json()
        return answer
