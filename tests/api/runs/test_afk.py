"""AFK runs over HTTP: start with key and refusals, the Auto switch, Reset, and the plan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.drivers.servers.workshop import Workshop, open_workshop, problem

# real agents or long waits
pytestmark = pytest.mark.slow

FAIL = "please fail"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("afk")) as shop:
        yield shop


def start(shop: Workshop, project: str, key: str | None = None, **body: Any) -> httpx.Response:
    headers = {"x-idempotency-key": key} if key else {}
    return shop.api.post(f"/projects/{project}/afk/start", json=body, headers=headers)


def told(shop: Workshop, project: str) -> dict[str, Any]:
    return dict(shop.api.get(f"/projects/{project}").json())


def fail(shop: Workshop, project: str, times: int) -> None:
    for _ in range(times):
        number = shop.issue(project, "Fail", body=FAIL)
        shop.ended(start(shop, project, issue=number).json()["id"])


def test_a_start_takes_the_lowest_claimable_issue(shop: Workshop, project: str) -> None:
    shop.issue(project, body="please wait")
    shop.issue(project, body="please wait")
    answer = start(shop, project)
    run = answer.json()
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/runs/{run['id']}"
    assert (run["issue"], run["work_branch"], run["trigger"]) == (1, "afk/1", "api")
    assert told(shop, project)["ready_count"] == 1
    other = start(shop, project, issue=2).json()
    assert other["issue"] == 2
    refused = start(shop, project)
    assert problem(refused)["error"] == "nothing_ready"
    assert refused.status_code == 409
    assert refused.json()["detail"] == "No ready-for-agent issues to start."
    locked = start(shop, project, issue=1)
    assert (locked.status_code, locked.json()["error"]) == (409, "pr_lock")
    assert (locked.json()["holder"], locked.json()["branch"]) == (run["id"], "afk/1")
    for started in (run, other):
        shop.stop(started["id"])


def test_a_start_without_a_body_is_a_start(shop: Workshop, project: str) -> None:
    shop.issue(project, body="please wait")
    answer = shop.api.post(f"/projects/{project}/afk/start")
    assert answer.status_code == 201
    shop.stop(answer.json()["id"])


def test_the_same_key_answers_the_same_run_and_takes_no_second_issue(
    shop: Workshop, project: str
) -> None:
    shop.issue(project, body="please wait")
    shop.issue(project, body="please wait")
    first, again = start(shop, project, "key-1"), start(shop, project, "key-1")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json()["id"] == first.json()["id"]
    other = start(shop, project, "key-1", issue=2)
    assert (other.status_code, other.json()["error"]) == (422, "key_reused")
    assert other.json()["run_id"] == first.json()["id"]
    shop.stop(first.json()["id"])


@pytest.mark.parametrize(
    "body", [{"issue": 0}, {"issue": -1}, {"issue": "x"}, {"issue": 2**40}, {"isue": 1}]
)
def test_a_body_that_is_not_one_is_refused(
    shop: Workshop, project: str, body: dict[str, Any]
) -> None:
    assert problem(start(shop, project, **body))["error"] == "invalid"


def test_three_failures_pause_the_project_with_their_reasons_and_reset_ends_it(
    shop: Workshop, project: str
) -> None:
    fail(shop, project, 3)
    paused = told(shop, project)
    assert (paused["strikes"], paused["paused"]) == (3, True)
    assert [one["because"] for one in paused["recent_failures"]] == ["agent exited 7"] * 3
    assert [one["status"] for one in paused["recent_failures"]] == ["died"] * 3
    on = shop.api.put(f"/projects/{project}/afk/auto", json={"enabled": True})
    assert (on.status_code, on.json()["auto_enabled"], on.json()["strikes"]) == (200, True, 3)
    number = shop.issue(project, body="please wait")
    plan = shop.api.get(f"/projects/{project}/next").json()
    assert (plan["would"], plan["because"]) == (None, "auto runs are paused after 3 fails")
    assert {"issue": 1, "because": "parked: afk/1"} in plan["holds"]
    again = shop.api.post(f"/projects/{project}/afk/reset")
    assert (again.status_code, again.json()["strikes"], again.json()["paused"]) == (200, 0, False)
    assert again.json()["recent_failures"] == []
    # the loop resumes without another request
    page = f"/runs?project_id={project}&trigger=auto"
    run = shop.wait(page, lambda found: found["items"])["items"][0]
    assert run["issue"] == number
    shop.api.put(f"/projects/{project}/afk/auto", json={"enabled": False})
    shop.stop(run["id"])


def test_a_start_by_hand_goes_past_the_pause_and_its_success_ends_it(
    shop: Workshop, project: str
) -> None:
    fail(shop, project, 3)
    shop.issue(project, body="please commit")
    run = shop.ended(start(shop, project).json()["id"])
    assert run["status"] == "succeeded"
    assert (told(shop, project)["strikes"], told(shop, project)["paused"]) == (0, False)


def test_the_plan_names_what_would_start_and_why_each_other_waits(
    shop: Workshop, project: str
) -> None:
    shop.issue(project, "First")
    shop.issue(project, "Second", body="## Blocked by\n#1")
    shop.issue(project, "Third", labels=[])
    plan = shop.api.get(f"/projects/{project}/next").json()
    assert plan == {
        "would": None,
        "because": "auto runs are off",
        "holds": [
            {"issue": 1, "because": "auto runs are off"},
            {"issue": 2, "because": "blocked by #1"},
            {"issue": 3, "because": "not ready"},
        ],
    }


def test_what_is_not_there_is_not_found(shop: Workshop) -> None:
    for method, path in (
        ("POST", "/projects/proj_no/afk/start"),
        ("POST", "/projects/proj_no/afk/reset"),
        ("GET", "/projects/proj_no/next"),
    ):
        assert shop.api.request(method, path).status_code == 404
    missing = shop.api.put("/projects/proj_no/afk/auto", json={"enabled": True})
    assert missing.status_code == 404


def test_an_archived_project_neither_starts_nor_is_switched(shop: Workshop, project: str) -> None:
    shop.api.delete(f"/projects/{project}")
    refused = start(shop, project)
    assert (refused.status_code, refused.json()["error"]) == (409, "project_archived")
    switched = shop.api.put(f"/projects/{project}/afk/auto", json={"enabled": True})
    assert switched.json()["error"] == "project_archived"
