"""Runs over HTTP: started, answered in full, listed and filtered."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from tests.builders.repositories import run_git
from tests.drivers.servers.workshop import Workshop, at_once, open_workshop, problem

NAMED = (
    *("id", "run_id", "project_id", "status", "phase", "trigger", "depth_level"),
    *("target_framework", "branch", "work_branch", "base_sha", "issue", "agent", "model"),
    *("retry_of", "batch_id", "created_at", "started_at", "ended_at", "deadline", "because"),
    *("exit_code", "delivery", "usage", "correlation_id", "created_by", "provenance"),
)
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
LATER = 3600
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("runs")) as shop:
        shop.add_project("shop")
        yield shop


@pytest.fixture(scope="module")
def project_id(shop: Workshop) -> str:
    return str(shop.projects["shop"]["id"])


def count(shop: Workshop) -> int:
    return len(shop.api.get("/runs", params={"limit": 100}).json()["items"])


def test_a_started_run_is_answered_whole(shop: Workshop, project_id: str) -> None:
    body = {
        "project_id": project_id,
        "depth_level": "quick",
        "target_framework": "pytest",
        "branch": "main",
        "model": "large",
        "task": "please fail",
        "delay": LATER,
        "ttl": 60,
        "tags": ["one", "two"],
    }
    answer = shop.api.post("/runs", json=body, headers={"X-Correlation-Id": "click-7"})
    run = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/runs/{run['id']}"
    assert "idempotency-replayed" not in answer.headers
    assert [name for name in NAMED if name not in run] == []
    assert run["id"] == run["run_id"]
    for name in ("project_id", "depth_level", "target_framework", "branch", "model", "tags"):
        assert run[name] == body[name]
    assert (run["status"], run["phase"], run["trigger"]) == ("delayed", "waiting", "api")
    assert (run["agent"], run["work_branch"]) == ("script", f"run/{run['id']}")
    assert run["correlation_id"] == "click-7"
    assert set(run["usage"]) >= {"input_tokens", "output_tokens", "cost_usd"}
    assert run["created_by"]
    assert MOMENT.fullmatch(run["created_at"])
    assert shop.api.get(f"/runs/{run['id']}").json() == run


def test_what_is_left_out_is_the_projects_own(shop: Workshop, project_id: str) -> None:
    run = shop.start(project_id, "left out", delay=LATER)
    assert (run["branch"], run["agent"], run["target_framework"]) == ("main", "script", "auto")
    assert (run["issue"], run["model"], run["batch_id"]) == (None, None, None)


def test_times_of_a_whole_life_are_utc(shop: Workshop, project_id: str) -> None:
    run = shop.delivered(project_id)
    for name in ("created_at", "started_at", "ended_at", "deadline", "released_at"):
        assert MOMENT.fullmatch(run[name]), name
    assert run["created_at"] <= run["started_at"] <= run["ended_at"] <= run["deadline"]
    assert (run["exit_code"], run["phase"], run["label"]) == (0, "done", "Succeeded")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"project_id": None}, "project_id"),
        ({"unknown": 1}, "unknown"),
        ({"agent": ""}, "agent"),
        ({"agent": " \t"}, "agent"),
        ({"agent": "nobody"}, "agent"),
        ({"model": ""}, "model"),
        ({"model": "  "}, "model"),
        ({"branch": ""}, "branch"),
        ({"branch": "   "}, "branch"),
        ({"branch": "no-such-branch"}, "branch"),
        ({"branch": "-evil"}, "branch"),
        ({"branch": "a..b"}, "branch"),
        ({"branch": "a\u202eb"}, "branch"),
        ({"branch": 7}, "branch"),
        ({"depth_level": "abyss"}, "depth_level"),
        ({"target_framework": "cobol-unit"}, "target_framework"),
        ({"issue": 0}, "issue"),
        ({"issue": 99}, "issue"),
        ({"issue": 10**30}, "issue"),
        ({"issue": "1; --"}, "issue"),
        ({"pr_number": 10**30}, "pr_number"),
        ({"pr_number": 99}, "pr_number"),
        ({"task": "x" * 32769}, "task"),
        ({"task": "€" * 11000}, "task"),
        ({"task": "\ud800"}, "task"),
        ({"task": "nul \0 byte"}, "task"),
        ({"\ud800": 1}, "body"),
        ({"delivers": "hope"}, "delivers"),
        ({"delay": -1}, "delay"),
        ({"ttl": 0}, "ttl"),
        ({"tags": ["x"] * 11}, "tags"),
        ({"tags": [""]}, "tags.0"),
        ({"tags": ["x" * 129]}, "tags.0"),
        ({"x_idempotency_key": ""}, "x_idempotency_key"),
        ({"x_idempotency_key": "two words"}, "x_idempotency_key"),
        ({"x_idempotency_key": "x" * 256}, "x_idempotency_key"),
    ],
    ids=lambda given: repr(given)[:40],
)
def test_a_malformed_order_is_refused_before_anything_is_written(
    shop: Workshop, project_id: str, given: dict[str, Any], field: str
) -> None:
    before = count(shop)
    body = {"project_id": project_id, "delay": LATER, **given}
    content = json.dumps({name: value for name, value in body.items() if value is not None})
    told = problem(shop.api.post("/runs", content=content, headers=JSON))
    assert (told["status"], told["error"]) == (422, "invalid")
    assert told["errors"][0]["field"] == field
    assert told["errors"][0]["message"]
    assert count(shop) == before


def test_a_run_on_a_change_request_is_a_review_until_that_is_merged(shop: Workshop) -> None:
    project_id = shop.add_project("reviewed")
    shop.issue(project_id, "First")
    shop.delivered(project_id)
    [change] = shop.api.get(f"/projects/{project_id}/changes").json()["items"]
    body = {"project_id": project_id, "pr_number": change["number"], "delay": LATER}
    run = shop.api.post("/runs", json=body)
    assert run.status_code == 201
    told = run.json()
    assert (told["trigger"], told["pr_number"]) == ("review", change["number"])
    assert (told["work_branch"], told["branch"]) == (change["branch"], change["base"])
    found = shop.api.get("/runs", params={"trigger": "review"}).json()["items"]
    assert [one["id"] for one in found] == [told["id"]]
    locked = problem(shop.api.post("/runs", json={**body, "task": "another"}))
    assert (locked["error"], locked["holder"]) == ("pr_lock", told["id"])
    shop.api.post(f"/runs/{told['id']}/stop")
    merge = f"/projects/{project_id}/changes/{change['number']}/merge"
    assert shop.api.post(merge).status_code == 200
    refused = problem(shop.api.post("/runs", json=body))
    assert (refused["status"], refused["error"]) == (409, "change_closed")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"1" * 5000])
def test_what_is_no_json_object_is_malformed(shop: Workshop, content: bytes) -> None:
    told = problem(shop.api.post("/runs", content=content, headers=JSON))
    assert (told["status"], told["error"]) == (422, "invalid")
    assert told["errors"][0]["field"] == "body"


def test_a_new_branch_of_origin_is_asked_for_once_more(shop: Workshop) -> None:
    origin = shop.origin("grows")
    project_id = shop.add_project("grows", origin=origin)
    run_git(origin, "branch", "fresh", "main")
    assert shop.start(project_id, "x", branch="fresh", delay=LATER)["branch"] == "fresh"


@pytest.fixture(scope="module")
def many(shop: Workshop) -> list[dict[str, Any]]:
    """Seven delayed runs in a project used by nothing else, newest first."""
    project_id = shop.add_project("many")
    number = shop.issue(project_id, "Sort the shelf")
    runs = [shop.start(project_id, f"task {n}", delay=LATER) for n in range(4)]
    how = {"depth_level": "deep", "target_framework": "jest", "tags": ["nightly", "größer"]}
    runs.append(shop.start(project_id, "task 4", delay=LATER, **how))
    runs.append(shop.start(project_id, "", issue=number, delay=LATER))
    stopped = shop.start(project_id, "ended", delay=LATER)
    runs.append(shop.api.post(f"/runs/{stopped['id']}/stop").json())
    return runs[::-1]


def ids_of(runs: list[dict[str, Any]]) -> list[str]:
    return [run["id"] for run in runs]


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 100])
def test_pages_lead_through_all_runs_and_back(
    shop: Workshop, many: list[dict[str, Any]], limit: int
) -> None:
    asked: dict[str, Any] = {"project_id": many[0]["project_id"], "limit": limit}
    pages = [shop.api.get("/runs", params=asked).json()]
    while cursor := pages[-1]["next_cursor"]:
        pages.append(shop.api.get("/runs", params={**asked, "cursor": cursor}).json())
    assert [id_ for page in pages for id_ in ids_of(page["items"])] == ids_of(many)
    assert pages[0]["prev_cursor"] is None
    for earlier, later in pairwise(pages):
        back = shop.api.get("/runs", params={**asked, "cursor": later["prev_cursor"]}).json()
        assert ids_of(back["items"]) == ids_of(earlier["items"])


def test_the_list_answers_what_the_run_answers_but_its_task(
    shop: Workshop, many: list[dict[str, Any]]
) -> None:
    listed = shop.api.get("/runs", params={"project_id": many[0]["project_id"]}).json()
    assert set(listed) == {"items", "next_cursor", "prev_cursor", "looked_among"}
    whole = shop.api.get(f"/runs/{many[0]['id']}").json()
    assert whole.pop("task") == "ended"
    # lists do not say it
    assert whole.pop("created_by_name") == "operator"
    assert listed["items"][0] == whole


def test_fifty_long_tasks_make_a_small_list_that_still_says_what_each_run_is_about(
    shop: Workshop,
) -> None:
    project_id = shop.add_project("long")
    task = "Rewrite the manual\n" + "word " * 6000
    for number in range(50):
        shop.start(project_id, f"{task}{number}", delay=LATER)
    answer = shop.api.get("/runs", params={"project_id": project_id})
    items = answer.json()["items"]
    assert len(items) == 50
    assert {item["title"] for item in items} == {"Rewrite the manual"}
    assert len(answer.content) < 50 * 4096


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=stopped", [0]),
        ("status=stopped&status=delayed", [0, 1, 2, 3, 4, 5, 6]),
        ("status=running&status=queued", []),
        ("phase=done", [0]),
        ("phase=waiting&limit=2", [1, 2]),
        ("phase=live", []),
        ("trigger=api", [0, 1, 2, 3, 4, 5, 6]),
        ("trigger=auto", []),
        ("branch=afk/1", [1]),
        ("branch=main&limit=1", [0]),
        ("branch=none", []),
        ("depth_level=deep", [2]),
        ("depth_level=quick", []),
        ("target_framework=jest", [2]),
        ("agent=script&limit=1", [0]),
        ("agent=claude", []),
        ("tag=nightly", [2]),
        ("tag=gr%C3%B6%C3%9Fer&q=task&status=delayed", [2]),
        ("tag=night", []),
        ("batch_id=none", []),
        ("issue=1", [1]),
        ("issue=2", []),
        ("created_after=2020-01-01T00:00:00Z&limit=1", [0]),
        ("created_before=2020-01-01T00:00:00%2B02:00", []),
        ("q=afk/", [1]),
        ("q=afk%5F", []),
        ("q=sort+the", [1]),
        ("q=task+3", [3]),
        ("q=%25", []),
        ("q=" + "9" * 40, []),
    ],
)
def test_filters_find(
    shop: Workshop, many: list[dict[str, Any]], query: str, found: list[int]
) -> None:
    answer = shop.api.get(f"/runs?project_id={many[0]['project_id']}&{query}")
    assert answer.status_code == 200, answer.text
    assert ids_of(answer.json()["items"]) == [many[n]["id"] for n in found]


def test_moments_part_the_runs_made_before_and_after(
    shop: Workshop, many: list[dict[str, Any]]
) -> None:
    asked = {"project_id": many[0]["project_id"]}
    middle = {"created_after": many[3]["created_at"], "created_before": many[0]["created_at"]}
    found = ids_of(shop.api.get("/runs", params=asked | middle).json()["items"])
    assert set(ids_of(many[1:3])) <= set(found) <= set(ids_of(many[:4]))
    assert found == ids_of([run for run in many if run["id"] in found])


def test_an_issues_number_finds_its_run(shop: Workshop, many: list[dict[str, Any]]) -> None:
    asked = {"project_id": many[0]["project_id"], "q": "#1"}
    assert many[1]["id"] in ids_of(shop.api.get("/runs", params=asked).json()["items"])


@pytest.mark.parametrize("length", [6, 8, 12])
def test_the_ending_that_people_see_finds_a_run(
    shop: Workshop, many: list[dict[str, Any]], length: int
) -> None:
    for mark in ("", "…"):
        asked = {"q": mark + many[3]["id"][-length:]}
        assert ids_of(shop.api.get("/runs", params=asked).json()["items"]) == [many[3]["id"]]


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=101", "limit=x", "limit=" + "9" * 40, "status=odd", "phase=odd"),
        *("trigger=odd", "cursor=x", "cursor=%FF", "cursor=" + "x" * 301, "q=" + "x" * 201),
        *("depth_level=odd", "issue=0", "issue=x", "created_after=yesterday", "tag=%00"),
        *("created_before=2026-01-01T00:00:00", "agent=" + "x" * 201, "q=%00", "branch=%00"),
        # p|9999-12-31T23:59:59-23:59|x: a moment that no zone conversion survives
        "cursor=cHw5OTk5LTEyLTMxVDIzOjU5OjU5LTIzOjU5fHg",
        "cursor=bnwwMDAxLTAxLTAxVDAwOjAwOjAwKzIzOjU5fHg",
    ],
)
def test_a_malformed_question_is_refused(shop: Workshop, query: str) -> None:
    told = problem(shop.api.get(f"/runs?{query}"))
    assert (told["status"], told["error"]) == (422, "invalid")
    assert told["errors"][0]["field"] == query.partition("=")[0].replace("status", "status.0")


def test_fifty_equal_submits_at_once_are_one_run(shop: Workshop, project_id: str) -> None:
    before = count(shop)
    body = {"project_id": project_id, "task": "once", "delay": LATER}
    given = {"x-idempotency-key": "fifty"}
    answers = at_once(50, lambda _: shop.api.post("/runs", json=body, headers=given))
    assert sorted(answer.status_code for answer in answers) == [200] * 49 + [201]
    assert len({answer.json()["run_id"] for answer in answers}) == 1
    replayed = {answer.headers.get("idempotency-replayed") for answer in answers}
    assert replayed == {"true", None}
    assert count(shop) == before + 1


def test_a_body_with_a_name_twice_is_refused_by_that_name(shop: Workshop, project: str) -> None:
    twice = '"task": "one", "task": "another", "tags": [], "tags": []'
    text = f'{{"project_id": "{project}", {twice}}}'
    headers = {"Content-Type": "application/json"}
    told = problem(shop.api.post("/runs", content=text, headers=headers))
    assert (told["status"], told["error"]) == (422, "invalid")
    assert [one["field"] for one in told["errors"]] == ["tags", "task"]
    assert shop.api.get(f"/runs?project_id={project}").json()["items"] == []
