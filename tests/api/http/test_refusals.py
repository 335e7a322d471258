"""Every refusal with its status, message and members."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.builders.repositories import commit_file, make_origin, run_git
from tests.drivers.servers.processes import WAIT_SECONDS, free_port
from tests.drivers.servers.workshop import Workshop, open_workshop, problem

LATER = 3600
NO_PROJECT = "proj_" + "0" * 24
NOTHING = {"run": "run_c" + "0" * 24, "project": NO_PROJECT}
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    with open_workshop(tmp_path_factory.mktemp("refusals")) as shop:
        shop.add_project("shop")
        yield shop


@pytest.fixture(scope="module")
def project_id(shop: Workshop) -> str:
    return str(shop.projects["shop"]["id"])


def refused(answer: httpx.Response, status: int, error: str) -> dict[str, Any]:
    told = problem(answer)
    assert (answer.status_code, told["error"]) == (status, error), told
    return told


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/runs/{run}"),
        ("GET", "/runs/{run}/timeline"),
        ("GET", "/runs/{run}/pull_request"),
        ("GET", "/runs/{run}/diff"),
        ("GET", "/runs/{run}/log"),
        ("GET", "/runs/{run}/events"),
        ("POST", "/runs/{run}/stop"),
        ("GET", "/projects/{project}"),
        ("PATCH", "/projects/{project}"),
        ("DELETE", "/projects/{project}"),
        ("GET", "/projects/{project}/branches"),
        ("GET", "/projects/{project}/issues"),
        ("POST", "/projects/{project}/issues"),
        ("PATCH", "/projects/{project}/issues/1"),
        ("GET", "/projects/{project}/changes"),
        ("GET", "/projects/{project}/changes/1"),
        ("GET", "/projects/{project}/changes/1/diff"),
        ("POST", "/projects/{project}/changes/1/merge"),
        ("POST", "/projects/{project}/changes/1/close"),
        ("GET", "/quota/concurrency?project_id={project}"),
        ("GET", "/nothing/here"),
    ],
)
@pytest.mark.parametrize("odd", [False, True])
def test_an_id_of_nothing_answers_not_found(
    shop: Workshop, method: str, path: str, odd: bool
) -> None:
    ids = {"run": "x'\u202e", "project": "%22%F0"} if odd else NOTHING
    body = {"title": "x"} if method == "POST" and path.endswith("issues") else {}
    content = body if method in {"POST", "PATCH"} and "stop" not in path else None
    answer = shop.api.request(method, path.format(**ids), json=content)
    told = refused(answer, 404, "not_found")
    assert told["detail"] == "There is nothing with that id."


def test_a_run_of_no_project_is_not_found(shop: Workshop) -> None:
    refused(shop.api.post("/runs", json={"project_id": NO_PROJECT}), 404, "not_found")


@pytest.mark.parametrize(
    "path", ["/runs/1", "/projects", "/runs/x/log", "/projects/x/changes/1/merge"]
)
def test_a_method_that_a_path_does_not_know_is_refused(shop: Workshop, path: str) -> None:
    answer = shop.api.request("PROPFIND", path)
    refused(answer, 405, "method_not_allowed")
    assert answer.headers["allow"]


@pytest.mark.parametrize("path", ["/none", "/healthz/x", "/runs/x/y/z"])
def test_a_path_that_is_nobodys_is_a_problem_to_programs_and_a_page_to_people(
    shop: Workshop, path: str
) -> None:
    with httpx.Client(
        base_url=shop.server.url, headers=shop.api.headers, timeout=WAIT_SECONDS
    ) as caller:
        refused(caller.get(path), 404, "not_found")
        page = caller.get(path, headers={"Accept": "text/html"})
    assert page.status_code == 404
    assert page.headers["x-correlation-id"] in page.text


@pytest.mark.parametrize("number", ["0", "-1", "9" * 30, "x", "1.5", "%00"])
@pytest.mark.parametrize("path", ["issues/{}", "changes/{}", "changes/{}/merge"])
def test_what_is_no_number_names_nothing(
    shop: Workshop, project_id: str, number: str, path: str
) -> None:
    method = {"issues/{}": "PATCH", "changes/{}": "GET"}.get(path, "POST")
    content = {"state": "closed"} if method == "PATCH" else None
    where = f"/projects/{project_id}/{path.format(number)}"
    answer = shop.api.request(method, where, json=content)
    assert problem(answer)["status"] in {400, 404, 422}


def test_nobody_and_another_page_are_told_apart(shop: Workshop) -> None:
    stranger = httpx.get(f"{shop.server.url}/api/v1/runs", trust_env=False, timeout=WAIT_SECONDS)
    refused(stranger, 401, "not_signed_in")
    assert stranger.headers["www-authenticate"] == "Bearer"
    foreign = shop.api.post("/login-links", headers={"Origin": "http://evil.example"})
    refused(foreign, 403, "forbidden")


def test_an_ended_run_cannot_be_stopped_again(shop: Workshop, project_id: str) -> None:
    run_id = shop.start(project_id, "x", delay=LATER)["id"]
    stopped = shop.api.post(f"/runs/{run_id}/stop", json={"because": "seen enough"})
    assert (stopped.json()["status"], stopped.json()["because"]) == ("stopped", "seen enough")
    told = refused(shop.api.post(f"/runs/{run_id}/stop"), 409, "already_ended")
    assert told["detail"] == "This run has already ended."
    assert shop.api.get(f"/runs/{run_id}").json() == stopped.json()


@pytest.mark.parametrize("because", [None, "", "  \n"])
def test_a_stop_without_a_reason_says_who_stopped(
    shop: Workshop, project_id: str, because: str | None
) -> None:
    run_id = shop.start(project_id, f"stopped {because!r}", delay=LATER)["id"]
    answer = shop.api.post(f"/runs/{run_id}/stop", json={"because": because})
    assert answer.json()["because"] == "stopped by operator"


@pytest.mark.parametrize("body", [{"because": 7}, {"why": "x"}, {"because": "x" * 501}, []])
def test_a_malformed_stop_stops_nothing(shop: Workshop, project_id: str, body: Any) -> None:
    run_id = shop.start(project_id, f"goes on {body}"[:40], delay=LATER)["id"]
    refused(shop.api.post(f"/runs/{run_id}/stop", json=body), 422, "invalid")
    assert shop.api.get(f"/runs/{run_id}").json()["status"] == "delayed"


def test_issues_that_cannot_be_worked_on_are_refused(shop: Workshop, project_id: str) -> None:
    first = shop.issue(project_id, "First")
    second = shop.issue(project_id, "Second", body=f"## Blocked by\n- #{first}")
    order = {"project_id": project_id, "issue": second, "delay": LATER}
    told = refused(shop.api.post("/runs", json=order), 409, "issue_blocked")
    assert told["by"] == first
    shop.api.patch(f"/projects/{project_id}/issues/{first}", json={"state": "closed"})
    closed = {**order, "issue": first}
    refused(shop.api.post("/runs", json=closed), 409, "issue_closed")
    assert shop.api.post("/runs", json=order).status_code == 201


def test_kept_work_holds_its_branch(shop: Workshop, project_id: str) -> None:
    number = shop.issue(project_id, "Parked")
    order = {"project_id": project_id, "issue": number, "task": "please commit\nplease fail"}
    run = shop.ended(shop.api.post("/runs", json=order).json()["id"])
    assert (run["status"], run["because"] is not None) == ("died", True)
    told = refused(shop.api.post("/runs", json=order), 409, "parked")
    assert told["branch"] == f"afk/{number}"
    [issue] = [
        one
        for one in shop.api.get(f"/projects/{project_id}/issues").json()["items"]
        if one["number"] == number
    ]
    assert (issue["claimable"], issue["hold"]) == (False, f"parked: afk/{number}")


def test_an_agent_that_is_not_there_is_unavailable(shop: Workshop, project_id: str) -> None:
    order = {"project_id": project_id, "agent": "aider", "delay": LATER}
    refused(shop.api.post("/runs", json=order), 409, "agent_unavailable")
    lost = shop.add_project("lost agent", agent_command=["/nowhere/agent"])
    refused(shop.api.post("/runs", json={"project_id": lost}), 409, "agent_unavailable")


def test_a_repository_that_cannot_be_cloned_is_broken(shop: Workshop) -> None:
    origin = make_origin(shop.folder / "damaged")
    blob = run_git(origin, "rev-parse", "HEAD:README.md")
    (origin / ".git/objects" / blob[:2] / blob[2:]).unlink()
    project_id = shop.add_project("damaged", origin=origin)
    project = shop.api.get(f"/projects/{project_id}").json()
    assert (project["state"], bool(project["state_because"])) == ("broken", True)
    told = refused(shop.api.post("/runs", json={"project_id": project_id}), 409, "project_broken")
    assert told["detail"] == project["state_because"]


def test_a_busy_project_is_not_archived_and_an_archived_one_does_nothing(shop: Workshop) -> None:
    project_id = shop.add_project("short-lived")
    run_id = shop.start(project_id, "x", delay=LATER)["id"]
    refused(shop.api.delete(f"/projects/{project_id}"), 409, "project_busy")
    shop.api.post(f"/runs/{run_id}/stop")
    archived = shop.api.delete(f"/projects/{project_id}")
    assert archived.status_code == 200
    assert archived.json()["archived_at"]
    again = shop.api.delete(f"/projects/{project_id}")
    assert again.json()["archived_at"] == archived.json()["archived_at"]
    order = {"project_id": project_id}
    refused(shop.api.post("/runs", json=order), 409, "project_archived")
    change = {"budget_seconds": 5}
    refused(shop.api.patch(f"/projects/{project_id}", json=change), 409, "project_archived")
    assert shop.api.get(f"/runs/{run_id}").status_code == 200


def test_a_name_is_used_once(shop: Workshop) -> None:
    origin = str(shop.origin("second shop"))
    told = refused(
        shop.api.post("/projects", json={"name": " shop ", "origin": origin}), 409, "name_taken"
    )
    assert told["detail"] == "Name already in use"
    assert told["errors"] == [{"field": "name", "message": "Name already in use"}]
    other = shop.add_project("renamed", origin=origin)
    told = refused(shop.api.patch(f"/projects/{other}", json={"name": "shop"}), 409, "name_taken")
    assert told["errors"][0]["field"] == "name"


def test_changes_that_collide_are_refused_and_change_nothing(shop: Workshop) -> None:
    origin = shop.origin("collides")
    project_id = shop.add_project("collides", origin=origin)
    number = shop.delivered(project_id)["delivery"]["number"]
    desk = Path(f"{origin}.desk")
    commit_file(desk, "shared.txt", "mine\n")
    run_git(desk, "push", "-q", str(origin), "main")
    before = run_git(origin, "rev-parse", "main")
    path = f"/projects/{project_id}/changes/{number}"
    told = refused(shop.api.post(f"{path}/merge"), 409, "merge_conflict")
    assert (told["files"], told["files_total"]) == (["shared.txt"], 1)
    assert told["detail"] == "Merge conflict in shared.txt. Nothing was changed."
    assert shop.api.get(path).json()["state"] == "open"
    assert run_git(origin, "rev-parse", "main") == before
    assert shop.api.post(f"{path}/close").json()["state"] == "closed"
    refused(shop.api.post(f"{path}/close"), 409, "already_ended")
    refused(shop.api.post(f"{path}/merge"), 409, "already_ended")


def test_an_origin_that_does_not_answer_is_unavailable(shop: Workshop) -> None:
    origin = f"https://127.0.0.1:{free_port()}/shop.git"
    body = {"name": "far", "origin": origin}
    refused(shop.api.post("/projects", json=body), 502, "forge_unavailable")
    gone = shop.origin("gone")
    project_id = shop.add_project("gone", origin=gone)
    shutil.rmtree(gone)
    # a known branch needs no call to origin; an unknown one does
    assert shop.start(project_id, "x", delay=LATER)["branch"] == "main"
    order = {"project_id": project_id, "branch": "other", "delay": LATER}
    refused(shop.api.post("/runs", json=order), 502, "forge_unavailable")


@pytest.mark.parametrize(
    ("content", "headers", "status", "error"),
    [
        (b"x=1", {"content-type": "application/x-www-form-urlencoded"}, 415, "wrong_media_type"),
        (b'{"project_id": "x"}', {"content-type": "text/plain"}, 415, "wrong_media_type"),
        (b'{"task": "' + b"x" * 1024 * 1024 + b'"}', JSON, 413, "too_large"),
    ],
)
def test_content_of_another_kind_or_size_is_refused(
    shop: Workshop, content: bytes, headers: dict[str, str], status: int, error: str
) -> None:
    refused(shop.api.post("/runs", content=content, headers=headers), status, error)
