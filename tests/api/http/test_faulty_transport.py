"""The transport of servers under test, which injects faults: it obeys its file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.drivers.servers.entry import seams_of
from tests.fakes.faulty_transport import LOOK_SECONDS, FaultyTransport


class Counted(httpx.AsyncBaseTransport):
    """A transport that answers 201 and counts requests."""

    def __init__(self) -> None:
        self.arrived = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.arrived += 1
        return httpx.Response(201, json={"number": self.arrived})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "faults.json"


@pytest.fixture
def app() -> Counted:
    return Counted()


@pytest.fixture
async def client(file: Path, app: Counted) -> AsyncIterator[httpx.AsyncClient]:
    transport = seams_of({"RUNYARD_TEST_FAULTS": str(file)})["wrap_transport"](app)
    assert isinstance(transport, FaultyTransport)
    async with httpx.AsyncClient(transport=transport, base_url="http://runyard.test") as client:
        yield client


def set_faults(file: Path, faults: dict[str, Any]) -> None:
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(faults))
    fresh.replace(file)


async def test_without_a_file_everything_passes(client: httpx.AsyncClient, app: Counted) -> None:
    assert (await client.post("/api/v1/runs")).json() == {"number": 1}


async def test_a_request_that_is_lost_never_arrives(
    file: Path, client: httpx.AsyncClient, app: Counted
) -> None:
    set_faults(file, {"POST /api/v1/runs": {"drop": "request", "times": 1}})
    with pytest.raises(httpx.ConnectError):
        await client.post("/api/v1/runs")
    assert app.arrived == 0
    assert (await client.post("/api/v1/runs")).status_code == 201


async def test_an_answer_that_is_lost_was_acted_on(
    file: Path, client: httpx.AsyncClient, app: Counted
) -> None:
    set_faults(file, {"POST /api/v1/runs": {"drop": "answer"}})
    with pytest.raises(httpx.ReadError):
        await client.post("/api/v1/runs")
    assert app.arrived == 1


async def test_a_call_and_its_answer_wait_until_the_test_opens_their_gates(
    file: Path, client: httpx.AsyncClient, app: Counted, tmp_path: Path
) -> None:
    sent, answered = tmp_path / "sent", tmp_path / "answered"
    gates = {"gate": str(sent), "answer_gate": str(answered)}
    set_faults(file, {"POST /api/v1/runs": gates})
    call = asyncio.create_task(client.post("/api/v1/runs"))
    for gate, arrived in ((sent, 0), (answered, 1)):
        await asyncio.wait([call], timeout=3 * LOOK_SECONDS)
        assert (app.arrived, call.done()) == (arrived, False)
        gate.touch()
    assert (await call).status_code == 201


async def test_another_answer_is_given_as_often_as_it_says_and_anew_after_a_change(
    file: Path, client: httpx.AsyncClient, app: Counted
) -> None:
    fault = {"status": 429, "times": 1, "headers": {"Retry-After": "3"}, "body": {"error": "x"}}
    for _ in range(2):
        set_faults(file, {"POST /api/v1/runs": fault})
        answer = await client.post("/api/v1/runs")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
        assert answer.json()["error"] == "x"
        assert (await client.post("/api/v1/runs")).status_code == 201


async def test_only_calls_that_fit_meet_a_fault(
    file: Path, client: httpx.AsyncClient, app: Counted
) -> None:
    set_faults(file, {"POST /api/v1/runs/[^/]+/stop": {"status": 503}, "* /x": {"status": 500}})
    assert (await client.post("/api/v1/runs/run_1/stop")).status_code == 503
    assert (await client.get("/x")).status_code == 500
    for method, path in [("GET", "/api/v1/runs/run_1/stop"), ("POST", "/api/v1/runs")]:
        assert (await client.request(method, path)).status_code == 201


def test_a_server_is_given_only_what_its_test_asks_for() -> None:
    assert seams_of({"RUNYARD_TEST": "1", "RUNYARD_TEST_FAULTS": ""}) == {}
