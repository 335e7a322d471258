"""Approvals over HTTP: what waits, the answers to it, and every refusal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.drivers.servers.workshop import Workshop, open_workshop

# real agents
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("approvals")) as shop:
        yield shop


def change(shop: Workshop, project: str, **settings: Any) -> None:
    """Change settings of a project."""
    answer = shop.api.patch(f"/projects/{project}", json=settings)
    assert answer.status_code == 200, answer.text
    assert answer.json() | settings == answer.json()


def pending(shop: Workshop, project: str) -> list[dict[str, Any]]:
    """Return what waits for approval in a project."""
    return list(shop.api.get("/approvals", params={"project_id": project}).json()["items"])


def answered(shop: Workshop, approval: str, how: str, **body: Any) -> tuple[int, dict[str, Any]]:
    """Answer an approval; return the status and the answer."""
    answer = shop.api.post(f"/approvals/{approval}/{how}", json=body)
    return answer.status_code, answer.json()


def test_a_start_waits_in_the_inbox_until_it_is_approved(shop: Workshop, project: str) -> None:
    change(shop, project, approve_start=True, max_concurrency=1)
    run = shop.start(project, "please commit")
    assert (run["status"], run["phase"], run["hold"]) == (
        "queued",
        "waiting",
        "Waiting for approval",
    )
    active = shop.api.get("/quota/concurrency", params={"project_id": project}).json()
    assert active["active"] == 0
    [row] = pending(shop, project)
    assert (row["kind"], row["state"], row["run_id"]) == ("start", "pending", run["id"])
    assert (row["needed"], row["approvals"], row["answers"]) == (1, 0, [])
    assert row["url"] == f"/runs/{run['id']}"
    [item] = [one for one in shop.api.get("/inbox").json()["items"] if one["project_id"] == project]
    assert (item["kind"], item["group"], item["action"]) == ("approval", "attention", "Approve")
    assert (item["approval"], item["sentence"]) == (
        row["id"],
        "The start of a run waits for approval.",
    )
    status, told = answered(shop, row["id"], "approve", comment="go")
    assert (status, told["state"], told["approvals"]) == (200, "approved", 1)
    assert [one["comment"] for one in told["answers"]] == ["go"]
    assert shop.ended(run["id"])["status"] == "succeeded"
    assert pending(shop, project) == []
    for how in ("approve", "reject"):
        status, told = answered(shop, row["id"], how, comment="again")
        assert (status, told["error"]) == (409, "already_answered")


def test_a_rejection_needs_a_reason_and_stops_the_run(shop: Workshop, project: str) -> None:
    change(shop, project, approve_start=True)
    run = shop.start(project, "please commit")
    [row] = pending(shop, project)
    for body in ({}, {"comment": ""}, {"comment": "  "}, {"comment": "x" * 2001}):
        status, told = answered(shop, row["id"], "reject", **body)
        assert (status, told["error"]) == (422, "invalid")
    status, told = answered(shop, row["id"], "reject", comment="not <b>now</b>")
    assert (status, told["state"]) == (200, "rejected")
    ended = shop.ended(run["id"])
    assert (ended["status"], ended["cause"]) == ("stopped", "approval_refused")
    assert ended["because"] == "its start was refused by operator: not <b>now</b>"
    [deed] = shop.api.get("/audit", params={"object": row["id"]}).json()["items"]
    assert (deed["deed"], deed["after"]["state"]) == ("reject", "rejected")
    assert shop.api.get(f"/projects/{project}").json()["strikes"] == 0


def test_a_merge_without_approval_is_refused_with_what_is_missing(
    shop: Workshop, project: str
) -> None:
    change(shop, project, approve_merge=1)
    run = shop.ended(shop.start(project, "please commit")["id"])
    number = run["delivery"]["number"]
    for body in ({}, {"push_anyway": True}):
        answer = shop.api.post(f"/projects/{project}/changes/{number}/merge", json=body)
        told = answer.json()
        assert (answer.status_code, told["error"]) == (409, "approval_needed")
        assert (told["needed"], told["approvals"]) == (1, 0)
        sentence = f"Change request #{number} needs 1 more approval before it is merged."
        assert told["detail"] == sentence
    [row] = pending(shop, project)
    assert (row["id"], row["change"], row["run_id"]) == (told["approval"], number, run["id"])
    status, told = answered(shop, row["id"], "approve")
    assert (status, told["error"]) == (403, "forbidden")
    assert "there is no other person here" in told["detail"]
    change(shop, project, approve_merge=0)
    answer = shop.api.post(f"/projects/{project}/changes/{number}/merge")
    assert (answer.status_code, answer.json()["state"]) == (200, "merged")


@pytest.mark.parametrize("how", ["", "/approve", "/reject"])
def test_an_unknown_approval_is_not_found(shop: Workshop, how: str) -> None:
    path = f"/approvals/approval_{'0' * 24}{how}"
    answer = shop.api.post(path, json={"comment": "x"}) if how else shop.api.get(path)
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("name", "value"),
    [("approve_merge", -1), ("approve_merge", 21), ("approval_days", 0), ("approval_days", 366)],
)
def test_settings_out_of_bounds_are_refused(
    shop: Workshop, project: str, name: str, value: int
) -> None:
    answer = shop.api.patch(f"/projects/{project}", json={name: value})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, name)


def test_the_list_has_pages_and_filters(shop: Workshop, project: str) -> None:
    change(shop, project, approve_start=True)
    runs = [shop.start(project, f"please commit {number}")["id"] for number in range(3)]
    asked = {"project_id": project, "limit": 2}
    first = shop.api.get("/approvals", params=asked).json()
    second = shop.api.get("/approvals", params=asked | {"cursor": first["next_cursor"]}).json()
    found = [one["run_id"] for one in first["items"] + second["items"]]
    assert (found, second["next_cursor"]) == (runs[::-1], None)
    [one] = shop.api.get("/approvals", params={"run_id": runs[0]}).json()["items"]
    assert answered(shop, one["id"], "reject", comment="no")[0] == 200
    assert len(pending(shop, project)) == 2
    every = shop.api.get("/approvals", params={"project_id": project, "state": "all"}).json()
    assert len(every["items"]) == 3
    for wrong in ({"state": "maybe"}, {"cursor": "x"}, {"colour": "red"}):
        assert shop.api.get("/approvals", params=wrong).status_code == 422
