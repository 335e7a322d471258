"""The readable form of a run's log over HTTP."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.api.client.client import ApiClient
from tests.drivers.servers.processes import WAIT_SECONDS
from tests.drivers.servers.workshop import Workshop, open_workshop, problem
from tests.fakes.agents.replays import STREAMS, install_replay

# real agents or long waits
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("readable")
    programs = folder / "programs"
    install_replay(programs, "claude", STREAMS / "claude.jsonl")
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    with open_workshop(folder, PATH=path, ANTHROPIC_API_KEY="a key for tests") as shop:
        shop.add_project("shop")
        yield shop


@pytest.fixture(scope="module")
def run(shop: Workshop) -> dict[str, Any]:
    """A run whose agent has written stream events."""
    return dict(shop.delivered(str(shop.projects["shop"]["id"]), "mend it", agent="claude"))


def read(shop: Workshop, run: dict[str, Any], **asked: Any) -> httpx.Response:
    answer = shop.api.get(f"/runs/{run['id']}/log", params={"form": "readable", **asked})
    assert answer.status_code == 200
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    return answer


def lines_of(answer: httpx.Response) -> list[str]:
    entries = [json.loads(line) for line in answer.text.splitlines()]
    assert all(set(one) == {"at", "time", "kind", "name", "text"} for one in entries)
    return [" ".join(filter(None, (one["kind"], one["name"], one["text"]))) for one in entries]


def test_events_are_told_as_entries_and_bytes_stay_bytes(
    shop: Workshop, run: dict[str, Any]
) -> None:
    content = (STREAMS / "claude.jsonl").read_bytes()
    answer = read(shop, run)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert "tool Bash pytest -q" in lines_of(answer)
    assert lines_of(answer)[-1] == "end Done · 62 k tokens · $0.38"
    names = ("x-log-form", "x-log-begin", "x-log-next", "x-log-size", "x-log-truncated")
    told = [answer.headers[name] for name in names]
    assert told == ["readable", "0", str(len(content)), str(len(content)), "false"]
    raw = shop.api.get(f"/runs/{run['id']}/log")
    assert (raw.content, raw.headers["x-log-form"]) == (content, "raw")
    assert raw.headers["content-type"].startswith("text/plain")


def test_each_entry_has_the_time_its_line_arrived(shop: Workshop, run: dict[str, Any]) -> None:
    times = [json.loads(line)["time"] for line in read(shop, run).text.splitlines()]
    assert times
    # the marks are whole seconds
    begun, ended = run["started_at"][:19], run["ended_at"][:19]
    assert all(begun <= time[:19] <= ended and time.endswith("Z") for time in times)


def test_positions_are_those_of_the_log(shop: Workshop, run: dict[str, Any]) -> None:
    whole = lines_of(read(shop, run))
    position, told = 0, []
    while position < int(read(shop, run, offset=position, limit=1).headers["x-log-size"]):
        answer = read(shop, run, offset=position, limit=300)
        told += lines_of(answer)
        position = int(answer.headers["x-log-next"])
    assert told == whole
    from_its_end = read(shop, run, offset=-position)
    assert (lines_of(from_its_end), from_its_end.headers["x-log-begin"]) == (whole, "0")


def test_an_agent_without_events_has_its_bytes_in_either_form(shop: Workshop) -> None:
    run = shop.delivered(str(shop.projects["shop"]["id"]), "please commit")
    answer = read(shop, run)
    assert (answer.text, answer.headers["x-log-form"]) == ("begun\ndone\n", "raw")
    assert answer.headers["content-type"].startswith("text/plain")


def test_a_form_that_there_is_not_is_refused(shop: Workshop, run: dict[str, Any]) -> None:
    told = problem(shop.api.get(f"/runs/{run['id']}/log", params={"form": "pretty"}))
    assert (told["status"], told["error"]) == (422, "invalid")
    told = problem(shop.api.get("/runs/run_nothing/log", params={"form": "readable"}))
    assert told["status"] == 404


def test_both_forms_are_described(shop: Workshop) -> None:
    paths = shop.api.get("/openapi.json").json()["paths"]
    call = paths["/runs/{run_id}/log"]["get"]
    assert set(call["responses"]["200"]["content"]) == {"text/plain", "application/x-ndjson"}
    assert [one["name"] for one in call["parameters"]] == ["run_id", "offset", "limit", "form"]


async def test_the_client_reads_entries_and_knows_where_there_are_none(
    shop: Workshop, run: dict[str, Any]
) -> None:
    headers = {"Authorization": str(shop.api.headers["Authorization"])}
    async with httpx.AsyncClient(
        base_url=shop.server.url, trust_env=False, timeout=WAIT_SECONDS
    ) as http:
        api = ApiClient(http, headers)
        piece = await api.log_entries(run["id"], offset=-(2**20), limit=2**20)
        assert (piece.begin, piece.next_offset) == (0, piece.size)
        assert piece.entries[-1].text == "Done · 62 k tokens · $0.38"
        assert piece.written_at is not None
        silent = shop.delivered(str(shop.projects["shop"]["id"]), "please commit")
        assert await api.has_log_entries(run["id"])
        assert not await api.has_log_entries(silent["id"])
