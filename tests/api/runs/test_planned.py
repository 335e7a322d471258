"""Planned runs over HTTP: shown, rescheduled, started now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.servers.workshop import Workshop, open_workshop, problem

# real agents or long waits
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("planned")) as shop:
        yield shop


def plan(shop: Workshop, run: dict[str, Any], **body: object) -> Any:
    return shop.api.patch(f"/runs/{run['id']}", json=body)


def test_a_planned_run_says_when_it_starts(shop: Workshop, project: str) -> None:
    at = f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%dT%H:%M}:00.000Z"
    told = {"ttl": 600, "tags": ["night", "night", "big"], "x_idempotency_key": "tonight"}
    run = shop.start(project, "later", delay=at[:16] + "Z", **told)
    assert (run["status"], run["starts_at"], run["ttl"]) == ("delayed", at, 600)
    assert (run["tags"], run["idempotency_key"]) == (["night", "big"], "tonight")
    [accepted] = shop.api.get(f"/runs/{run['id']}/timeline").json()["items"]
    assert accepted["kind"] == "accepted"
    assert accepted["data"] == {"starts_at": at, "ttl": 600}


def test_a_run_that_starts_at_once_has_no_moment(shop: Workshop, project: str) -> None:
    run = shop.start(project, "please wait")
    assert (run["starts_at"], run["ttl"], run["idempotency_key"]) == (None, None, None)
    shop.stop(run["id"])


@pytest.mark.parametrize("delay", [3600, "3600", "60m", "1h"])
def test_a_span_is_counted_from_now(shop: Workshop, project: str, delay: int | str) -> None:
    run = shop.start(project, f"in {delay!r}", delay=delay)
    created, starts = (datetime.fromisoformat(run[name]) for name in ("created_at", "starts_at"))
    assert starts - created == timedelta(hours=1)
    shop.stop(run["id"])


@pytest.mark.parametrize(
    "delay",
    [
        *("soon", -1, 1.5, True, ["1h"], "2020-01-01T00:00", "40d"),
        *("2026-02-30T02:00", "9999-12-31T23:59-12:00"),
    ],
)
def test_a_moment_that_is_none_is_refused_in_our_words(
    shop: Workshop, project: str, delay: object
) -> None:
    answer = shop.api.post("/runs", json={"project_id": project, "task": "x", "delay": delay})
    told = problem(answer)
    assert answer.status_code == 422
    [error] = told["errors"]
    assert error["field"] == "delay"
    ours = ("Write 90", "This time has passed", "A run can wait", "There is no such day")
    assert error["message"].startswith(ours)


def test_a_planned_run_is_moved_and_started_now(shop: Workshop, project: str) -> None:
    run = shop.start(project, "please wait", delay="1d")
    moved = plan(shop, run, starts_at="2h").json()
    assert moved["status"] == "delayed"
    assert moved["starts_at"] < run["starts_at"]
    assert plan(shop, run, start_now=True).json()["status"] in ("queued", "starting", "running")
    shop.live(run["id"])
    for body in ({"start_now": True}, {"starts_at": "2h"}):
        refused = plan(shop, run, **body)
        assert (refused.status_code, problem(refused)["error"]) == (409, "already_started")
    said = [one["sentence"] for one in shop.api.get(f"/runs/{run['id']}/timeline").json()["items"]]
    assert any(sentence.startswith("moved by ") for sentence in said)
    assert any(sentence.startswith("started now by ") for sentence in said)
    shop.stop(run["id"])


@pytest.mark.parametrize("body", [{}, {"start_now": False}, {"starts_at": "1h", "start_now": True}])
def test_a_plan_says_one_thing(shop: Workshop, project: str, body: dict[str, object]) -> None:
    run = shop.start(project, f"planned {len(body)} {body}", delay=3600)
    assert plan(shop, run, **body).status_code == 422
    shop.stop(run["id"])


def test_planned_runs_leave_the_repository_free(shop: Workshop) -> None:
    project = shop.add_project("crowd", max_concurrency=1)
    for number in range(2):
        shop.start(project, f"night {number}", delay="8h")
    stand = {"project_id": project}
    assert shop.api.get("/quota/concurrency", params=stand).json() == {"active": 0, "max": 1}
    run = shop.start(project, "please wait")
    assert shop.api.get("/quota/concurrency", params=stand).json() == {"active": 1, "max": 1}
    shop.stop(run["id"])


def test_nobody_moves_a_run_that_there_is_not(shop: Workshop) -> None:
    assert shop.api.patch("/runs/run_c0", json={"start_now": True}).status_code == 404


def test_a_planned_run_outlives_a_server_that_is_killed(tmp_path: Path) -> None:
    with open_workshop(tmp_path) as shop:
        project = shop.add_project("kept")
        later = shop.start(project, "please wait", delay="1d", ttl=600)
        soon = shop.start(project, "please wait, but not long", delay=1)
        shop.server.kill()
        shop.server.start()
        kept = shop.api.get(f"/runs/{later['id']}").json()
        names = ("status", "starts_at", "ttl", "hold")
        assert [kept[name] for name in names] == [later[name] for name in names]
        # a run that fell due while the server was down starts with the next server
        shop.live(soon["id"])
        assert plan(shop, later, start_now=True).status_code == 200
        shop.live(later["id"])
        for run in (soon, later):
            shop.stop(run["id"])
