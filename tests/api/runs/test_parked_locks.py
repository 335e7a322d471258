"""Parked branches without work: plain runs have none, and one call frees an issue's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.drivers.servers.workshop import Workshop, open_workshop, problem

# real agents or long waits
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("locks")) as shop:
        shop.add_project("shop")
        yield shop


def parked(shop: Workshop, run: dict[str, Any]) -> list[dict[str, Any]]:
    kept = shop.api.get("/parked").json()["items"]
    return [one for one in kept if one["run_id"] == run["id"]]


@pytest.mark.parametrize("task", ["please fail", "do nothing"])
def test_a_plain_run_that_leaves_nothing_is_not_parked(shop: Workshop, task: str) -> None:
    run = shop.ended(shop.start(str(shop.projects["shop"]["id"]), task)["id"])
    assert (run["status"], run["parked"]) == ("died", False)
    assert parked(shop, run) == []


def test_an_empty_branch_of_an_issue_is_freed_without_its_name(shop: Workshop) -> None:
    project = str(shop.projects["shop"]["id"])
    number = shop.issue(project)
    run = shop.ended(shop.start(project, "please fail", issue=number)["id"])
    is_measured = lambda found: all(one["bytes"] is not None for one in found["items"])  # noqa: E731
    shop.wait("/parked", is_measured)
    (lock,) = parked(shop, run)
    assert (lock["holds"], lock["is_lock"]) == ("no commits, no files", True)
    body = {"project_id": project, "branch": lock["branch"]}
    wrong = shop.api.post("/parked/discard", json={**body, "confirm": "another"})
    assert problem(wrong)["error"] == "confirm_mismatch"
    assert shop.api.post("/parked/discard", json=body).status_code == 200
    assert parked(shop, run) == []
    assert shop.api.get(f"/projects/{project}/issues/{number}").json()["claimable"]


def test_work_is_never_discarded_without_its_name(shop: Workshop) -> None:
    project = str(shop.projects["shop"]["id"])
    run = shop.ended(shop.start(project, "please commit, then please fail")["id"])
    assert (run["status"], run["parked"]) == ("died", True)
    body = {"project_id": project, "branch": run["work_branch"]}
    told = problem(shop.api.post("/parked/discard", json=body))
    assert (told["status"], told["error"]) == (422, "confirm_mismatch")
    assert parked(shop, run)
