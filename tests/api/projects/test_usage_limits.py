"""Usage limits over HTTP: the hold and its end, lifting it, and resuming now."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.drivers.servers.workshop import Workshop, open_workshop, problem

CLAUDE = """#!/bin/sh
test "${{*#*--resume}}" != "$*" && exec sleep 60
echo '{{"type":"system","subtype":"init","session_id":"s-1"}}'
echo '{{"type":"rate_limit_event","rate_limit_info":{{"status":"rejected","resetsAt":{resets}}}}}'
echo '{{"type":"result","is_error":true,"result":"You have hit your limit"}}'
exit 1
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    program = tmp_path_factory.mktemp("bin") / "claude"
    program.write_text(CLAUDE.format(resets=int(time.time()) + 3600))
    program.chmod(0o755)
    settings = {"PATH": f"{program.parent}:/usr/bin:/bin", "ANTHROPIC_API_KEY": "one"}
    with open_workshop(tmp_path_factory.mktemp("limits"), **settings) as shop:
        shop.add_project("shop", agent="claude", agent_command=None)
        yield shop


@pytest.fixture(scope="module")
def limited(shop: Workshop) -> dict[str, Any]:
    """A run that hit its account's usage limit."""
    run = shop.ended(shop.start(str(shop.projects["shop"]["id"]), "Mend it")["id"])
    assert (run["status"], run["cause"]) == ("limited", "usage_limit"), run
    return run


def resume(shop: Workshop, run_id: str, **headers: str) -> httpx.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return shop.api.post(f"/runs/{run_id}/resume", headers=given)


def test_the_account_is_listed_with_its_evidence(shop: Workshop, limited: dict[str, Any]) -> None:
    (hold,) = shop.api.get("/quota/accounts").json()["items"]
    assert (hold["agent"], hold["family"], hold["stand"]) == ("claude", "", "held")
    assert (hold["run_id"], hold["waiting"]) == (limited["id"], 1)
    assert "rejected" in hold["evidence"] or "limit" in hold["evidence"]
    assert hold["until"].endswith("Z")
    assert limited["may_resume"]


def test_a_run_that_needs_it_is_refused_until_then(shop: Workshop, limited: dict[str, Any]) -> None:
    until = shop.api.get("/quota/accounts").json()["items"][0]["until"]
    body = {"project_id": limited["project_id"], "task": "More"}
    for answer in (
        shop.api.post("/runs", json=body),
        shop.api.post(f"/runs/{limited['id']}/retry"),
    ):
        told = problem(answer)
        assert (answer.status_code, told["error"]) == (409, "account_held")
        assert told["until"].rstrip("0Z.") == until.rstrip("0Z.")
        assert "is reached, until" in told["detail"]


def test_the_project_tells_of_it(shop: Workshop, limited: dict[str, Any]) -> None:
    project = shop.api.get(f"/projects/{limited['project_id']}").json()
    assert project["usage_limit"]["agent"] == "claude"
    assert project["resume_after_limit"] is True


def test_whether_runs_are_resumed_is_a_setting(shop: Workshop, limited: dict[str, Any]) -> None:
    path = f"/projects/{limited['project_id']}"
    for wish in (False, True):
        answer = shop.api.patch(path, json={"resume_after_limit": wish})
        assert answer.json()["resume_after_limit"] is wish


def test_a_person_resumes_whatever_is_held(shop: Workshop, limited: dict[str, Any]) -> None:
    used = shop.api.get("/quota/runs").json()["used"]
    answer = resume(shop, limited["id"], x_idempotency_key="once")
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert answer.headers["Location"] == f"/runs/{made['id']}"
    assert (made["trigger"], made["retry_of"]) == ("resume", limited["id"])
    assert made["work_branch"] == limited["work_branch"]
    assert shop.api.get("/quota/runs").json()["used"] == used
    again = resume(shop, limited["id"], x_idempotency_key="once")
    assert (again.status_code, again.json()["id"]) == (200, made["id"])
    assert shop.api.get("/quota/accounts").json()["items"][0]["probe_run_id"] == made["id"]
    live = problem(resume(shop, made["id"]))
    assert live["error"] == "still_live"
    shop.api.post(f"/runs/{made['id']}/stop")
    assert problem(resume(shop, shop.ended(made["id"])["id"]))["error"] == "not_resumable"
    assert resume(shop, "run_none").status_code == 404


def test_a_hold_is_lifted_by_hand(shop: Workshop, limited: dict[str, Any]) -> None:
    answer = shop.api.post("/quota/accounts/lift", json={"agent": "claude"})
    assert answer.status_code == 200, answer.text
    assert shop.api.get(f"/projects/{limited['project_id']}").json()["usage_limit"] is None
    unknown = shop.api.post("/quota/accounts/lift", json={"agent": "codex"})
    assert problem(unknown)["error"] == "not_found"
