"""A48: requests that never finish keep nobody else out."""

from __future__ import annotations

import resource
import select
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from app.server.patches.request_deadlines import (
    BODY_IDLE_SECONDS,
    HEADER_SECONDS,
    MOST_HEADER_BYTES,
)
from tests.drivers.servers.processes import RunyardServer, running_server

SLACK_SECONDS = 60.0  # allowance for a busy machine, on top of the promised limit
HALF_OPEN = 3000
MOST_IN_BUFFERS = 32 * 1024 * 1024  # what the kernel may buffer before the server reads a byte


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunyardServer]:
    with running_server(tmp_path_factory.mktemp("data")) as running:
        yield running


def half(server: RunyardServer, text: str) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", server.port), timeout=SLACK_SECONDS)
    line.sendall(text.format(host=f"127.0.0.1:{server.port}", token=server.token).encode())
    return line


def read_to_the_end(line: socket.socket, seconds: float) -> None:
    """Read and discard answers until the server closes the connection."""
    line.settimeout(seconds)
    try:
        while line.recv(65536):
            pass
    except ConnectionResetError:
        pass
    line.close()


# each text with the time that it is given
HALVES = {
    "nothing": ("", HEADER_SECONDS),
    "half of the headers": (
        "GET /healthz HTTP/1.1\r\nHost: {host}\r\nX-A: b",
        HEADER_SECONDS,
    ),
    "half of the content": (
        "POST /api/v1/logout HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\nhalf",
        BODY_IDLE_SECONDS,
    ),
}


def seconds_until_ended(server: RunyardServer, text: str) -> float:
    """Send half a request; return how long the server kept its connection."""
    began = time.monotonic()
    read_to_the_end(half(server, text), BODY_IDLE_SECONDS + SLACK_SECONDS)
    return time.monotonic() - began


@pytest.fixture(scope="module")
def waited(server: RunyardServer) -> dict[str, float]:
    """Seconds for which each half request was kept, all of them sent at once."""
    with ThreadPoolExecutor(len(HALVES)) as threads:
        kept = {
            name: threads.submit(seconds_until_ended, server, text)
            for name, (text, _) in HALVES.items()
        }
        return {name: one.result() for name, one in kept.items()}


@pytest.mark.parametrize("name", HALVES)
def test_half_a_request_is_ended_in_time(waited: dict[str, float], name: str) -> None:
    _, least = HALVES[name]
    assert least - 1 <= waited[name]


def test_headers_that_come_bit_by_bit_are_ended_all_the_same(server: RunyardServer) -> None:
    line = half(server, "GET /healthz HTTP/1.1\r\nHost: {host}\r\n")
    line.settimeout(0.5)
    assert is_refused_in_the_end(line, b"X: y\r\n", HEADER_SECONDS + SLACK_SECONDS)


def test_headers_without_an_end_are_not_kept(server: RunyardServer) -> None:
    line = half(server, "GET /healthz HTTP/1.1\r\n")
    line.setblocking(False)
    piece = b"X-More: " + b"x" * MOST_HEADER_BYTES + b"\r\n"
    assert taken_of(line, piece, SLACK_SECONDS) < MOST_IN_BUFFERS


def is_refused_in_the_end(line: socket.socket, piece: bytes, seconds: float) -> bool:
    """Send a piece again and again; return True once the server closes, False after `seconds`."""
    until = time.monotonic() + seconds
    with line:
        while time.monotonic() < until:
            try:
                line.sendall(piece)
                if not line.recv(1):
                    return True
            except TimeoutError:
                continue
            except (ConnectionResetError, BrokenPipeError):
                return True
    return False


def taken_of(line: socket.socket, piece: bytes, seconds: float) -> int:
    """Return the bytes the server accepts before it closes; MOST_IN_BUFFERS if it never does."""
    until, taken = time.monotonic() + seconds, 0
    with line:
        while time.monotonic() < until and taken < 2 * MOST_IN_BUFFERS:
            try:
                select.select([], [line], [], 1)
                taken += line.send(piece)
            except BlockingIOError:
                continue
            except (ConnectionResetError, BrokenPipeError):
                return taken
    return MOST_IN_BUFFERS


@contextmanager
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = HALF_OPEN + 500
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip("this process may not open so many connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_three_thousand_half_requests_lock_nobody_out_of_a_server_with_few_files(
    tmp_path: Path,
) -> None:
    with running_server(tmp_path / "data") as server, many_files(), ExitStack() as lines:
        assert server.process is not None
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (1024, 1024))
        with server.client() as api, api.stream("GET", "/events") as feed:
            heard = feed.iter_lines()
            next(heard)
            for number in range(HALF_OPEN):
                line = lines.enter_context(socket.socket())
                line.setblocking(False)
                line.connect_ex(("127.0.0.1", server.port))
                if number % 500 == 0:
                    assert _answers(server)
            assert _answers(server)
            # a subscription opened earlier still receives events
            api.post("/demo-project")
            assert next(line for line in heard if line.startswith("event:"))
        assert "Too many open files" not in server.log


def _answers(server: RunyardServer) -> bool:
    """Return True if the server answers a client that retries."""
    until = time.monotonic() + SLACK_SECONDS
    while time.monotonic() < until:
        try:
            return httpx.get(f"{server.url}/healthz", timeout=10, trust_env=False).is_success
        except httpx.TransportError:
            continue
    return False
