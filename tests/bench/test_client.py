"""The client of the benchmark, against a small server that counts."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.bench import calls
from tests.bench.client.phase import BROKEN, Phase, Plan, processor_seconds


class Server(ThreadingHTTPServer):
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.keys: list[str | None] = []
        self.callers: set[tuple[str, int]] = set()

    def address(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        assert isinstance(self.server, Server)
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.keys.append(self.headers["x-key"])
        self.server.callers.add(self.client_address)
        if self.path == "/break":
            self.close_connection = True
            return
        body = b"full" if self.path == "/full" else b"{}"
        self.send_response(429 if self.path == "/full" else 201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def send(plan: Plan) -> Phase:
    # the tests' own environment has all that the client needs
    return calls.send(plan, Path(sys.executable))


def test_each_client_keeps_one_connection_and_each_request_has_its_key(server: Server) -> None:
    plan = Plan(server.address(), 40, 4, warm_up=8, body="{}", key_header="x-key")
    phase = calls.expect(send(plan), 201)
    assert phase.answers == {"201": 40}
    assert len(phase.times) == 40
    assert phase.p50 <= phase.p99 <= max(phase.times) <= phase.seconds
    assert phase.processor == []
    assert len(set(server.keys)) == len(server.keys) == 48, "the warm-up, too, has keys"
    assert len(server.callers) == 4


def test_replays_have_the_same_key(server: Server) -> None:
    plan = Plan(server.address(), 5, warm_up=1, body="{}", key_header="x-key", key="one")
    send(plan)
    assert server.keys == ["one"] * 6


def test_refusals_and_broken_connections_are_counted(server: Server) -> None:
    full = send(Plan(server.address("/full"), 3, warm_up=0, body="{}"))
    assert (full.answers, full.first_error) == ({"429": 3}, "full")
    with pytest.raises(RuntimeError, match="full"):
        calls.expect(full, 201)
    assert send(Plan(server.address("/break"), 3, warm_up=0, body="{}")).answers == {BROKEN: 3}


def test_the_processor_time_of_each_request_is_measured(server: Server) -> None:
    plan = Plan(server.address(), 3, warm_up=0, body="{}", pid=os.getpid())
    phase = send(plan)
    assert len(phase.processor) == 3
    assert all(0 < used < 10 for used in phase.processor)


def test_the_clock_of_a_process_counts_its_work_and_not_its_waiting() -> None:
    before, own = processor_seconds(os.getpid()), time.process_time()
    while time.process_time() < own + 0.05:
        pass
    assert 0.05 <= processor_seconds(os.getpid()) - before < 10


def test_a_phase_tells_its_median_its_tail_and_its_rate() -> None:
    phase = Phase(seconds=2.0, times=[float(n) for n in range(1, 101)])
    assert (phase.p50, phase.p99, phase.rate) == (50.5, 99.0, 50.0)
