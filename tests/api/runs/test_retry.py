"""Retry over HTTP: responses, replays and refusals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.drivers.servers.workshop import Workshop, open_workshop, problem

# real agents or long waits
pytestmark = pytest.mark.slow

FAILS = "please fail"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("retry")) as shop:
        shop.add_project("shop")
        yield shop


@pytest.fixture(scope="module")
def failed(shop: Workshop) -> dict[str, Any]:
    """A plain run that has failed."""
    return shop.ended(shop.start(str(shop.projects["shop"]["id"]), FAILS, model="small")["id"])


def retry(shop: Workshop, run: dict[str, Any], body: Any = None, **headers: str) -> httpx.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return shop.api.post(f"/runs/{run['id']}/retry", json=body, headers=given)


def test_a_retry_is_a_new_run_linked_both_ways(shop: Workshop, failed: dict[str, Any]) -> None:
    used = shop.api.get("/quota/runs").json()["used"]
    answer = retry(shop, failed, {"from": "fresh", "model": "large"})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert answer.headers["Location"] == f"/runs/{made['id']}"
    assert (made["retry_of"], made["trigger"], made["model"]) == (failed["id"], "retry", "large")
    same = ("project_id", "agent", "issue", "branch", "depth_level", "target_framework", "task")
    assert [made[name] for name in same] == [failed[name] for name in same]
    assert shop.api.get(f"/runs/{failed['id']}").json()["retried_by"] == [made["id"]]
    assert shop.api.get("/quota/runs").json()["used"] == used + 1
    assert shop.ended(made["id"])["status"] == "died"
    assert shop.api.get("/runs", params={"trigger": "retry"}).json()["items"]


def test_the_body_may_be_left_out(shop: Workshop, failed: dict[str, Any]) -> None:
    answer = shop.api.post(f"/runs/{failed['id']}/retry")
    assert answer.status_code == 201, answer.text
    # a plain run that died without a commit left no branch to continue on
    assert answer.json()["work_branch"] != failed["work_branch"]
    assert answer.json()["retry_of"] == failed["id"]
    shop.ended(answer.json()["id"])


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    told = problem(answer)
    assert (answer.status_code, told["error"]) == (status, code), told
    return told


@pytest.mark.parametrize("name", ["x_idempotency_key", "Idempotency_Key"])
def test_a_key_is_replayed_and_not_used_for_anything_else(
    shop: Workshop, failed: dict[str, Any], name: str
) -> None:
    body, key = {"from": "fresh"}, {name: f"key-{name}"}
    first = retry(shop, failed, body, **key)
    assert first.status_code == 201, first.text
    again = retry(shop, failed, body, **key)
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (200, "true")
    assert again.json()["id"] == first.json()["id"]
    other = refused(retry(shop, failed, {**body, "model": "other"}, **key), 422, "key_reused")
    assert other["run_id"] == first.json()["id"]
    shop.ended(first.json()["id"])


@pytest.mark.parametrize(
    "body",
    [
        {"from": "nowhere"},
        {"model": " "},
        {"agent": ""},
        {"branch": "no such"},
        {"again": "perhaps"},
        {"template": "fix"},
        {"source": "fresh"},
        [],
    ],
)
def test_a_body_that_makes_no_sense_is_refused(
    shop: Workshop, failed: dict[str, Any], body: Any
) -> None:
    refused(retry(shop, failed, body), 422, "invalid")


def test_keys_that_differ_are_refused(shop: Workshop, failed: dict[str, Any]) -> None:
    body = {"x_idempotency_key": "one"}
    refused(retry(shop, failed, body, x_idempotency_key="two"), 400, "key_mismatch")


def test_what_is_not_done_or_not_there_is_refused(shop: Workshop, failed: dict[str, Any]) -> None:
    run = shop.start(str(shop.projects["shop"]["id"]), "please wait")
    refused(retry(shop, run), 409, "still_live")
    shop.api.post(f"/runs/{run['id']}/stop")
    shop.ended(run["id"])
    refused(retry(shop, {"id": "run_c" + "0" * 24}), 404, "not_found")


def test_the_holder_of_the_branch_is_named(shop: Workshop) -> None:
    project = str(shop.projects["shop"]["id"])
    number = shop.issue(project, "Mend it")
    first = shop.ended(shop.start(project, FAILS, issue=number)["id"])
    body = {"project_id": project, "issue": number, "delay": 3600}
    assert refused(shop.api.post("/runs", json=body), 409, "parked")["branch"] == "afk/1"
    again = retry(shop, first, {"task": "please wait"})
    assert (again.status_code, again.json()["task"]) == (201, "please wait"), again.text
    told = refused(retry(shop, first), 409, "already_running")
    assert told["run_id"] == again.json()["id"]
    for fact in ("project shop", "agent script", f"issue #{number}", "no request"):
        assert fact in told["detail"]
    # with `again` the only conflict left is the branch lock
    told = refused(retry(shop, first, {"again": True}), 409, "pr_lock")
    assert (told["holder"], told["branch"]) == (again.json()["id"], "afk/1")
    shop.stop(again.json()["id"])


def test_an_impatient_second_retry_starts_nothing_unless_it_is_meant(shop: Workshop) -> None:
    project = str(shop.projects["shop"]["id"])
    first = shop.stop(shop.start(project, "please wait")["id"])
    made = retry(shop, first, x_idempotency_key="press-1").json()
    told = refused(retry(shop, first, x_idempotency_key="press-2"), 409, "already_running")
    assert told["run_id"] == made["id"]
    meant = retry(shop, first, {"again": True}, x_idempotency_key="press-3")
    assert meant.status_code == 201, meant.text
    both = [made["id"], meant.json()["id"]]
    assert shop.api.get(f"/runs/{first['id']}").json()["retried_by"] == both
    for run_id in both:
        shop.stop(run_id)


def test_an_issue_whose_change_is_open_is_in_review_everywhere(shop: Workshop) -> None:
    project = str(shop.projects["shop"]["id"])
    number = shop.issue(project, "Deliver it")
    first = shop.delivered(project, issue=number)
    change = first["delivery"]["number"]
    answers = (
        shop.api.post(f"/projects/{project}/afk/start", json={"issue": number}),
        shop.api.post("/runs", json={"project_id": project, "issue": number}),
        retry(shop, first),
        retry(shop, first, {"from": "fresh"}),
    )
    for answer in answers:
        told = refused(answer, 409, "in_review")
        assert told["change"] == change
        assert told["detail"] == f"Change request #{change} is open: merge or close it first."
    plan = shop.api.get(f"/projects/{project}/next").json()
    because = {hold["issue"]: hold["because"] for hold in plan["holds"]}[number]
    assert because == f"delivered: change request #{change} is open"
