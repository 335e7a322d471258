"""Runs on a change over HTTP, for comments and conflicts: key, audit row and refusals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.drivers.servers.workshop import Workshop, open_workshop, problem

# real agents or long waits
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("requests")) as shop:
        yield shop


@pytest.fixture
def change(shop: Workshop, project: str) -> str:
    """The path of an open change request, whose later runs commit once more."""
    number = shop.delivered(project)["delivery"]["number"]
    more = "date +%N >> more.txt; git add more.txt; git commit -qm More"
    agent = {"agent_command": ["sh", "-c", more]}
    shop.api.patch(f"/projects/{project}", json=agent).raise_for_status()
    return f"/projects/{project}/changes/{number}"


def draft(shop: Workshop, change: str, **comment: Any) -> int:
    answer = shop.api.post(f"{change}/comments", json=comment)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def test_drafts_are_sent_with_a_run_on_the_change_once_per_key(shop: Workshop, change: str) -> None:
    [file] = shop.api.get(f"{change}/files").json()["items"]
    sent = draft(shop, change, text="Why?", file=file["path"], line=1)
    kept = draft(shop, change, text="Later.")
    body, mark = {"text": "Shorter.", "comments": [sent]}, {"X-Correlation-Id": "requested"}
    asked = {"json": body, "headers": {"Idempotency-Key": change} | mark}
    answer = shop.api.post(f"{change}/request-changes", **asked)
    assert answer.status_code == 201, answer.text
    run = answer.json()
    assert answer.headers["location"].endswith(f"/runs/{run['id']}")
    assert (run["trigger"], run["pr_number"]) == ("review", int(change.rsplit("/", 1)[1]))
    again = shop.api.post(f"{change}/request-changes", **asked)
    assert (again.status_code, again.json()["id"]) == (200, run["id"])
    told = {one["id"]: one for one in shop.api.get(f"{change}/comments").json()["items"]}
    assert [(told[one]["draft"], told[one]["round"]) for one in (sent, kept)] == [
        (False, 2),
        (True, None),
    ]
    audited = shop.api.get("/audit", params={"limit": 100}).json()["items"]
    rows = [row["deed"] for row in audited if row["correlation_id"] == "requested"]
    assert rows == ["request_changes"]
    ended = shop.ended(run["id"])
    assert ended["status"] == "succeeded", ended["because"]
    [turn] = shop.api.get(f"/runs/{run['id']}/prompt").json()["turns"]
    assert f"{file['path']}:1\n> " in turn["text"]
    assert "> Why?\n" in turn["text"]
    assert "The whole change\n" in turn["text"]
    assert "Later." not in turn["text"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "text"),
        ({"text": " "}, "text"),
        ({"comments": []}, "text"),
        ({"text": "Why?", "comments": [1_000_000]}, "comments"),
        ({"comments": ["one"]}, "comments.0"),
    ],
)
def test_what_says_nothing_or_names_an_unknown_comment_is_refused_by_its_field(
    shop: Workshop, body: dict[str, Any], field: str
) -> None:
    if "refusals" not in shop.projects:
        shop.delivered(shop.add_project("refusals"))
    project = shop.projects["refusals"]["id"]
    answer = shop.api.post(f"/projects/{project}/changes/1/request-changes", json=body)
    told = problem(answer)
    assert (told["error"], told["errors"][0]["field"]) == ("invalid", field)


def test_a_change_that_was_closed_takes_no_requests(shop: Workshop, change: str) -> None:
    shop.api.post(f"{change}/close").raise_for_status()
    answer = shop.api.post(f"{change}/request-changes", json={"text": "Shorter."})
    told = problem(answer)
    assert (told["status"], told["error"], told["state"]) == (409, "change_closed", "closed")
    assert shop.api.post(f"{change}9/request-changes", json={"text": "x"}).status_code == 404


def test_a_change_that_conflicts_is_told_refused_and_given_to_an_agent_once(
    shop: Workshop, project: str
) -> None:
    writes = "echo $RUNYARD_RUN_ID > a.txt; git add .; git commit -qm Add"
    agent = {"agent_command": ["sh", "-c", writes]}
    shop.api.patch(f"/projects/{project}", json=agent).raise_for_status()
    numbers = [shop.delivered(project, f"do {one}")["delivery"]["number"] for one in "ab"]
    first, second = (f"/projects/{project}/changes/{number}" for number in numbers)
    clean = shop.wait(second, lambda change: change["conflicts"] is not None)
    assert clean["conflicts"] == []
    told = problem(shop.api.post(f"{second}/resolve"))
    assert (told["status"], told["error"]) == (409, "no_conflict")
    shop.api.post(f"{first}/merge").raise_for_status()
    shop.wait(second, lambda change: change["conflicts"] == ["a.txt"])
    [listed, _] = shop.api.get(f"/projects/{project}/changes").json()["items"]
    assert listed["conflicts"] == ["a.txt"]
    items = shop.api.get("/inbox").json()["items"]
    [item] = [one for one in items if one["url"] == second]
    assert item["facts"]["conflicts"] == ["a.txt"]
    assert item["sentence"].endswith(" · Conflicts")
    refused = problem(shop.api.post(f"{second}/merge"))
    assert (refused["error"], refused["files"]) == ("merge_conflict", ["a.txt"])
    heads = {"Idempotency-Key": second, "X-Correlation-Id": "resolved"}
    answer = shop.api.post(f"{second}/resolve", headers=heads)
    assert answer.status_code == 201, answer.text
    run = answer.json()
    assert (run["trigger"], run["pr_number"]) == ("review", numbers[1])
    again = shop.api.post(f"{second}/resolve", headers=heads)
    assert (again.status_code, again.json()["id"]) == (200, run["id"])
    audited = shop.api.get("/audit", params={"limit": 100}).json()["items"]
    rows = [row["deed"] for row in audited if row["correlation_id"] == "resolved"]
    assert rows == ["resolve_conflicts"]
    shop.ended(run["id"])
    assert problem(shop.api.post(f"{first}/resolve"))["error"] == "change_closed"
