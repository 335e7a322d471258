"""Refusals in the server log: found by correlation id, and summed up when there are many."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.http.refusal_log import LINES, RefusalLog
from tests.drivers.servers.processes import RunyardServer, running_server

# real agents or long waits
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunyardServer]:
    with running_server(tmp_path_factory.mktemp("data")) as running:
        yield running


def lines_of(server: RunyardServer, correlation_id: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in server.log.splitlines()]
    return [line for line in lines if line["correlation_id"] == correlation_id]


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"),
    [
        ("GET", "/api/v1/runs", {}, 401, "not_signed_in"),
        ("GET", "/healthz", {"Host": "evil.example"}, 400, "unknown_host"),
        ("GET", "/api/v1/none", {"token": ""}, 404, "404"),
        ("GET", "/none", {"token": ""}, 404, "404"),
        ("PUT", "/api/v1/runs", {"token": ""}, 405, "405"),
        ("GET", "/afk/reset/x", {"token": ""}, 405, "405"),
        (
            "POST",
            "/api/v1/runs",
            {"token": "", "Origin": "http://evil.example"},
            403,
            "forbidden",
        ),
    ],
)
def test_a_refusal_is_one_line_under_its_id(
    server: RunyardServer, method: str, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    own = dict(headers)
    if own.pop("token", None) is not None:
        own["Authorization"] = f"Bearer {server.token}"
    answer = httpx.request(method, server.url + path, headers=own, timeout=20)
    assert answer.status_code == status
    [line] = lines_of(server, answer.headers["x-correlation-id"])
    assert (line["level"], line["event"]) == ("info", "request_refused")
    assert (line["method"], line["path"], line["code"]) == (method, path, code)


def test_of_many_refusals_only_some_are_listed(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        with httpx.Client(base_url=server.url, timeout=20) as stranger:
            for number in range(5 * LINES):
                stranger.get(f"/api/v1/runs/{number}")
        listed = [line for line in server.log.splitlines() if "not_signed_in" in line]
        assert LINES <= len(listed) < 5 * LINES


class Sums(logging.Handler):
    """Keeps the numbers of refusals that were not listed."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: asyncio.Queue[int] = asyncio.Queue()
        self.listed = 0

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() == "more_requests_refused":
            self.counts.put_nowait(record.__dict__["count"])
        self.listed += record.getMessage() == "request_refused"


async def test_many_refusals_are_summed_up(caplog: pytest.LogCaptureFixture) -> None:
    refusals, sums = RefusalLog(seconds=0.05), Sums()
    with caplog.at_level(logging.INFO):
        logging.getLogger().addHandler(sums)
        try:
            for number in range(5 * LINES):
                refusals.record("GET", f"/{number}", "not_signed_in")
            left_out = await asyncio.wait_for(sums.counts.get(), 20)
        finally:
            logging.getLogger().removeHandler(sums)
    assert sums.listed + left_out == 5 * LINES
    assert left_out > 0
