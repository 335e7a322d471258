"""A48: requests that never finish keep nobody else out."""

from __future__ import annotations

import resource
import select
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from app.server.patches.request_deadlines import (
    BODY_IDLE_SECONDS,
    HEADER_SECONDS,
    MOST_HEADER_BYTES,
)
from tests.drivers.servers.entry import DEADLINES
from tests.drivers.servers.processes import RunyardServer, running_server

SLACK_SECONDS = 60.0  # allowance for a busy machine, on top of the promised limit
HALF_OPEN = 3000
MOST_IN_BUFFERS = 32 * 1024 * 1024  # what the kernel may buffer before the server reads a byte


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunyardServer]:
    """A server with few files."""
    with running_server(tmp_path_factory.mktemp("data")) as running:
        assert running.process is not None
        resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, (1024, 1024))
        yield running


@pytest.fixture(
    scope="module",
    params=[
        (1.0, 2.0),
        # the same with the deadlines of every server
        pytest.param((HEADER_SECONDS, BODY_IDLE_SECONDS), marks=pytest.mark.soak),
    ],
    ids=["short", "real"],
)
def waited(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[float, float]]:
    """By name the time that a half request is given, and the time for which it was kept.

    All of them are sent at once.
    """
    headers, body = request.param
    deadlines = {DEADLINES: f"{headers} {body}"}
    with (
        running_server(tmp_path_factory.mktemp("hasty"), **deadlines) as server,
        ThreadPoolExecutor(len(HALVES) + 1) as threads,
    ):
        kept = {
            name: threads.submit(seconds_until_ended, server, text, body)
            for name, text in HALVES.items()
        }
        kept[BIT_BY_BIT] = threads.submit(seconds_until_refused, server, headers)
        given = {name: body if name == OF_CONTENT else headers for name in kept}
        return {name: (given[name], one.result()) for name, one in kept.items()}


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


OF_CONTENT, BIT_BY_BIT = "half of the content", "headers that come bit by bit"
HALVES = {
    "nothing": "",
    "half of the headers": "GET /healthz HTTP/1.1\r\nHost: {host}\r\nX-A: b",
    OF_CONTENT: (
        "POST /api/v1/logout HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\nhalf"
    ),
}


def seconds_until_ended(server: RunyardServer, text: str, given: float) -> float:
    """Send half a request; return how long the server kept its connection."""
    began = time.monotonic()
    read_to_the_end(half(server, text), given + SLACK_SECONDS)
    return time.monotonic() - began


def seconds_until_refused(server: RunyardServer, given: float) -> float:
    """Send one header after another; return how long the server took them."""
    began = time.monotonic()
    line = half(server, "GET /healthz HTTP/1.1\r\nHost: {host}\r\n")
    line.settimeout(0.2)
    assert is_refused_in_the_end(line, b"X: y\r\n", given + SLACK_SECONDS)
    return time.monotonic() - began


@pytest.mark.parametrize("name", [*HALVES, BIT_BY_BIT])
def test_half_a_request_is_ended_in_time(waited: dict[str, tuple[float, float]], name: str) -> None:
    given, kept = waited[name]
    assert given * 0.9 <= kept


def test_every_server_has_the_deadlines_that_are_promised() -> None:
    # those of the servers above are shorter, but in the soak
    assert (HEADER_SECONDS, BODY_IDLE_SECONDS) == (10.0, 30.0)


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
    server: RunyardServer,
) -> None:
    with many_files(), ExitStack() as lines:
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
