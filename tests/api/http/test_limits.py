"""Quota, concurrency and locks over HTTP: exact counts and messages; refusals leave no traces."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.drivers.servers.workshop import Workshop, at_once, open_workshop, problem

# real agents or long waits
pytestmark = pytest.mark.slow

LATER = 3600
QUOTA, CONCURRENCY = 30, 2


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    settings = {
        "RUNYARD_RUN_QUOTA": str(QUOTA),
        "RUNYARD_RUN_WINDOW": "900",
        "RUNYARD_REPO_CONCURRENCY": str(CONCURRENCY),
    }
    with open_workshop(tmp_path_factory.mktemp("limits"), **settings) as shop:
        shop.add_project("shop")
        shop.add_project("narrow", max_concurrency=1)
        shop.add_project("wide", max_concurrency=90)
        yield shop


def start(shop: Workshop, project: str, task: str, **order: Any) -> httpx.Response:
    body = {"project_id": shop.projects[project]["id"], "task": task, "delay": LATER, **order}
    return shop.api.post("/runs", json=body)


def work(shop: Workshop, project: str, task: str) -> httpx.Response:
    """Start a run that holds its slot until it is stopped."""
    return start(shop, project, f"please wait, {task}", delay=0)


def used(shop: Workshop) -> int:
    return int(shop.api.get("/quota/runs").json()["used"])


def count(shop: Workshop) -> int:
    return len(shop.api.get("/runs", params={"limit": 100}).json()["items"])


def test_f06_at_most_so_many_runs_of_a_repository_are_open_at_once(shop: Workshop) -> None:
    quota = shop.api.get("/quota/runs").json()
    assert quota == {
        "limit": QUOTA,
        "remaining": QUOTA,
        "used": 0,
        "window_seconds": 900,
        "limit_of": "server",
        "reset_at": None,
        "free_at": None,
        "retry_after": None,
    }
    asked = {"project_id": shop.projects["shop"]["id"]}
    standing = shop.api.get("/quota/concurrency", params=asked)
    assert standing.json() == {"active": 0, "max": CONCURRENCY}
    answers = at_once(20, lambda number: work(shop, "shop", f"task {number}"))
    assert sorted(answer.status_code for answer in answers) == [201] * 2 + [409] * 18
    told = problem(next(answer for answer in answers if answer.status_code == 409))
    assert (told["error"], told["active"], told["max"]) == ("concurrency_limit", 2, 2)
    assert told["detail"] == (
        "This repository is at maximum concurrency. Wait for an active run to complete and retry."
    )
    # a refusal leaves no row and uses no quota
    assert count(shop) == 2
    assert used(shop) == 2
    standing = shop.api.get("/quota/concurrency", params=asked)
    assert standing.json() == {"active": 2, "max": 2}


def test_a_stopped_run_frees_its_slot_but_not_its_place_in_the_window(shop: Workshop) -> None:
    before, first = used(shop), work(shop, "narrow", "one").json()
    assert work(shop, "narrow", "two").status_code == 409
    assert shop.api.post(f"/runs/{first['id']}/stop").status_code == 200
    shop.ended(first["id"])
    assert work(shop, "narrow", "two").status_code == 201
    assert used(shop) == before + 2


def test_one_issue_has_one_run_and_the_refusal_names_it(shop: Workshop) -> None:
    project_id = shop.projects["wide"]["id"]
    number = shop.issue(project_id)
    answers = at_once(8, lambda n: start(shop, "wide", f"way {n}", issue=number))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    [holder] = [answer.json() for answer in answers if answer.status_code == 201]
    told = problem(next(answer for answer in answers if answer.status_code == 409))
    assert (told["error"], told["holder"], told["branch"]) == (
        *("pr_lock", holder["id"], f"afk/{number}"),
    )
    since = datetime.fromisoformat(told["since"])
    assert told["since"].endswith("Z")
    assert abs(since - datetime.fromisoformat(holder["created_at"])) < timedelta(seconds=0.01)


@pytest.mark.parametrize("given", [None, "proj_" + "0" * 24])
def test_the_limit_of_no_project_is_not_answered(shop: Workshop, given: str | None) -> None:
    asked = {"project_id": given} if given else {}
    told = problem(shop.api.get("/quota/concurrency", params=asked))
    assert told["status"] == (404 if given else 422)


def test_f07_a_window_takes_exactly_as_many_runs_as_it_holds(shop: Workshop) -> None:
    # keep this the last test that starts runs: it fills the window
    body = {"project_id": shop.projects["wide"]["id"], "task": "first", "delay": LATER}
    key = {"x-idempotency-key": "k"}
    first = shop.api.post("/runs", json=body, headers=key).json()
    left, rows = QUOTA - used(shop), count(shop)
    answers = at_once(3 * left, lambda number: start(shop, "wide", f"task {number}"))
    accepted = [answer for answer in answers if answer.status_code == 201]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert (len(accepted), len(refused), count(shop)) == (left, 2 * left, rows + left)
    again = shop.api.post("/runs", json=body, headers=key)
    assert (again.status_code, again.json()["id"], used(shop)) == (200, first["id"], QUOTA)
    check_refusal(shop, refused[0])


def check_refusal(shop: Workshop, refused: httpx.Response) -> None:
    """Check the refusal of a full window: `reset_at` is when its oldest run leaves it."""
    told = problem(refused)
    assert (told["error"], told["limit"], told["remaining"]) == ("rate_limited", QUOTA, 0)
    whose = f"Runyard's own limit: {QUOTA} runs in 15 min (RUNYARD_RUN_QUOTA)"
    assert told["own_limit"] == whose
    runs = shop.api.get("/runs", params={"limit": 100}).json()["items"]
    oldest = min(datetime.fromisoformat(run["created_at"]) for run in runs)
    reset_at = datetime.fromisoformat(told["reset_at"])
    assert told["reset_at"].endswith("Z")
    assert abs(reset_at - oldest - timedelta(seconds=900)) < timedelta(seconds=0.01)
    after = refused.headers["retry-after"]
    assert after.isdecimal()
    # Retry-After is in whole seconds, rounded up: waiting that long must suffice
    assert datetime.now(UTC) + timedelta(seconds=int(after)) >= reset_at
    quota = shop.api.get("/quota/runs").json()
    assert (quota["used"], quota["remaining"]) == (QUOTA, 0)
    assert 1 <= quota["retry_after"] <= int(after)
