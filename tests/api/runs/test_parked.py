"""Parked work over HTTP: list, discard, deliver and release, each with its refusals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.drivers.servers.workshop import Workshop, open_workshop, problem

# real agents or long waits
pytestmark = pytest.mark.slow

FAILS = "please commit\nplease fail"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("parked")) as shop:
        shop.add_project("shop")
        yield shop


@pytest.fixture(scope="module")
def project_id(shop: Workshop) -> str:
    return str(shop.projects["shop"]["id"])


def kept(shop: Workshop, project_id: str, task: str = FAILS) -> dict[str, Any]:
    """Return a run of a new issue that died and left a commit."""
    number = shop.issue(project_id, "Keep it")
    run = shop.ended(shop.start(project_id, task, issue=number)["id"])
    assert (run["status"], run["parked"]) == ("died", True)
    return run


def listed(shop: Workshop) -> dict[str, dict[str, Any]]:
    items = shop.api.get("/parked").json()["items"]
    return {item["branch"]: item for item in items}


def claimable(shop: Workshop, project_id: str, number: int) -> bool:
    items = shop.api.get(f"/projects/{project_id}/issues").json()["items"]
    return next(item["claimable"] for item in items if item["number"] == number)


def discard(shop: Workshop, run: dict[str, Any], confirm: str | None = None) -> Any:
    branch = run["work_branch"]
    body = {"project_id": run["project_id"], "branch": branch, "confirm": confirm or branch}
    return shop.api.post("/parked/discard", json=body)


def test_kept_work_is_listed_and_discarded_by_its_name(shop: Workshop, project_id: str) -> None:
    run = kept(shop, project_id)
    item = listed(shop)[run["work_branch"]]
    assert (item["project_id"], item["run_id"]) == (project_id, run["id"])
    assert (item["issue"], item["because"]) == (run["issue"], run["because"])
    assert item["holds"] == "1 commit"
    assert item["age_seconds"] >= 0
    assert item["bytes"] == 0
    before = shop.api.get(f"/projects/{project_id}").json()["parked_count"]
    told = problem(discard(shop, run, "afk/none"))
    assert (told["status"], told["error"]) == (422, "confirm_mismatch")
    assert not claimable(shop, project_id, run["issue"])
    answer = discard(shop, run)
    assert answer.json() == {"project_id": project_id, "branch": run["work_branch"], "runs": 1}
    assert run["work_branch"] not in listed(shop)
    assert claimable(shop, project_id, run["issue"])
    assert shop.api.get(f"/projects/{project_id}").json()["parked_count"] == before - 1
    assert problem(discard(shop, run))["error"] == "not_found"
    lines = shop.api.get(f"/runs/{run['id']}/timeline").json()["items"]
    assert lines[-1]["sentence"] == f"{run['work_branch']} discarded by operator"


def test_a_salvage_is_delivered_once_under_its_key(shop: Workshop, project_id: str) -> None:
    run = kept(shop, project_id)
    path, headers = f"/runs/{run['id']}/deliver", {"Idempotency-Key": "salvage-1"}
    first = shop.api.post(path, headers=headers)
    assert first.status_code == 200, first.text
    assert "idempotency-replayed" not in first.headers
    told = first.json()
    assert (told["status"], told["parked"]) == ("died", False)
    assert told["delivery"]["state"] == "open"
    again = shop.api.post(path, headers=headers)
    assert (again.status_code, again.json()) == (200, told)
    assert again.headers["idempotency-replayed"] == "true"
    refused = problem(shop.api.post(path))
    assert (refused["status"], refused["error"]) == (409, "not_deliverable")
    assert shop.api.get(f"/runs/{run['id']}/pull_request").json() == told["delivery"]
    lines = shop.api.get(f"/runs/{run['id']}/timeline").json()["items"]
    assert lines[-1]["kind"] == "salvage"
    # a run that saved nothing cannot be delivered
    empty = kept(shop, project_id, "please fail")
    refused = problem(shop.api.post(f"/runs/{empty['id']}/deliver"))
    assert refused["detail"] == "This run has no commits to deliver."


def test_different_keys_in_one_request_are_refused(shop: Workshop, project_id: str) -> None:
    run = kept(shop, project_id)
    keys = {"Idempotency-Key": "a", "X-Idempotency-Key": "b"}
    answer = shop.api.post(f"/runs/{run['id']}/deliver", headers=keys)
    assert problem(answer)["error"] == "key_mismatch"


def test_a_branch_that_is_written_to_is_locked(shop: Workshop, project_id: str) -> None:
    number = shop.issue(project_id)
    run = shop.live(shop.start(project_id, "please wait", issue=number)["id"])
    assert problem(discard(shop, run, "other"))["error"] == "confirm_mismatch"
    told = problem(discard(shop, run))
    assert (told["status"], told["error"], told["holder"]) == (409, "pr_lock", run["id"])
    assert (told["branch"], bool(told["since"])) == (run["work_branch"], True)
    assert run["work_branch"] not in listed(shop)
    for what, error in (("deliver", "not_deliverable"), ("release", "still_live")):
        told = problem(shop.api.post(f"/runs/{run['id']}/{what}"))
        assert (told["status"], told["error"]) == (409, error)
    ended = shop.stop(run["id"])
    told = problem(shop.api.post(f"/runs/{ended['id']}/release"))
    assert (told["status"], told["error"]) == (409, "already_ended")
    assert listed(shop)[run["work_branch"]]["because"] == "stopped by operator"


@pytest.mark.parametrize("what", ["deliver", "release"])
def test_a_run_that_never_was_is_not_found(shop: Workshop, what: str) -> None:
    told = problem(shop.api.post(f"/runs/run_c{'0' * 24}/{what}"))
    assert (told["status"], told["detail"]) == (404, "There is nothing with that id.")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"branch": "afk/1", "confirm": "afk/1"},
        {"project_id": "p", "branch": "", "confirm": ""},
        {"project_id": "p", "branch": "afk/1", "confirm": "afk/1", "force": True},
        {"project_id": "p", "branch": "a\0b", "confirm": "a\0b"},
    ],
)
def test_a_malformed_discard_is_told(shop: Workshop, body: dict[str, Any]) -> None:
    told = problem(shop.api.post("/parked/discard", json=body))
    assert (told["status"], told["error"]) == (422, "invalid")
