"""The token of a run opens the run's own issue to its agent, and nothing else, while it runs."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.drivers.servers.forked_starts import ROOT
from tests.drivers.servers.workshop import Workshop, open_workshop

# its issue's text says what it does; each log line is an attempt and its result
AGENT = """
import json, os, subprocess, sys, time, urllib.error, urllib.request
def say(way, came):
    print(json.dumps([way, came]), flush=True)
names = ("RUNYARD_TOKEN", "RUNYARD_URL", "RUNYARD_PROJECT_ID")
say("has", [name for name in names if name in os.environ])
if "RUNYARD_TOKEN" not in os.environ:
    sys.exit(0)
token, url, project = (os.environ[name] for name in names)
print("my token is", token, flush=True)
api, own = url + "/api/v1", "/projects/" + project + "/issues/" + os.environ["RUNYARD_ISSUE"]
def call(way, method, path, body=None):
    headers = {"Authorization": "Bearer " + token, "Content-Type": "application/json"}
    content = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(api + path, content, headers, method=method)
    try:
        with urllib.request.urlopen(asked) as answer:
            say(way, answer.status)
            return json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        say(way, refused.code)
        return json.loads(refused.read())
issue = call("reads its issue", "GET", own)
call("comments", "POST", own + "/comments", {"body": "I am " + token})
said = call("reads comments", "GET", own + "/comments")["items"]
say("hears other agents", any(one["run_id"] != os.environ["RUNYARD_RUN_ID"] for one in said))
say("why not", call("reads another", "GET", own + "9")["detail"])
call("changes its issue", "PATCH", own, {"state": "closed"})
call("lists issues", "GET", "/projects/" + project + "/issues")
call("reads itself", "GET", "/people/me")
call("lists tokens", "GET", "/tokens")
call("makes a token", "POST", "/tokens", {"name": "x", "scopes": ["read"]})
call("starts", "POST", "/runs", {"project_id": project, "task": "x"})
call("deletes", "DELETE", "/projects/" + project)
call("writes too much", "POST", own + "/comments", {"body": "x" * 65537})
root = sys.argv[1]
for words in (["show"], ["comment", "by hand"]):
    command = [sys.executable, "-m", "app.cli.main", "issues", words[0]]
    command += [os.environ["RUNYARD_ISSUE"], "-p", os.environ["RUNYARD_PROJECT"], *words[1:]]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    say("by the command line " + words[0], done.returncode)
    if done.returncode:
        print(done.stderr, flush=True)
if "please fill" in issue["body"]:
    while call("fills", "POST", own + "/comments", {"body": "again"}).get("id"):
        pass
if "please wait" in issue["body"]:
    time.sleep(3600)
if "please leak" in issue["body"]:
    with open("leak.txt", "w") as file:
        file.write(token + chr(10))
    subprocess.run(["git", "add", "leak.txt"], check=True)
    who = ["-c", "user.name=A", "-c", "user.email=a@example.test"]
    subprocess.run(["git", *who, "commit", "-qm", "Work"], check=True)
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """A server of this file's own."""
    with open_workshop(tmp_path_factory.mktemp("shop")) as shop:
        (shop.folder / "agent.py").write_text(AGENT)
        yield shop


def _command(shop: Workshop) -> list[str]:
    return [sys.executable, "-I", str(shop.folder / "agent.py"), str(ROOT)]


def _tried(shop: Workshop, run_id: str) -> dict[str, Any]:
    log = shop.api.get(f"/runs/{run_id}/log").text
    return dict(json.loads(line) for line in log.splitlines() if line.startswith("["))


def _comments(shop: Workshop, project: str, issue: int) -> list[dict[str, Any]]:
    return list(shop.api.get(f"/projects/{project}/issues/{issue}/comments").json()["items"])


def _token_of_live(run_id: str, shop: Workshop) -> str:
    """Return the token from the environment of the agent's process, as root may."""
    for entry in Path("/proc").iterdir():
        try:
            environ = (entry / "environ").read_bytes()
        except OSError:
            continue
        if f"RUNYARD_RUN_ID={run_id}".encode() in environ:
            found = re.search(rb"RUNYARD_TOKEN=(ry_[^\0]+)", environ)
            if found:
                return found[1].decode()
    raise AssertionError("no process of the run has a token")


def _call(shop: Workshop, token: str, method: str, path: str, **how: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.request(method, f"{shop.server.url}{path}", headers=headers, **how)


def test_an_agent_reads_and_comments_on_its_own_issue_and_nothing_else(shop: Workshop) -> None:
    project = shop.add_project("told", agent_command=_command(shop), agent_token=True)
    issue = shop.issue(project)
    run = shop.ended(shop.start(project, "", issue=issue)["id"])
    tried = _tried(shop, run["id"])
    assert tried == {
        "has": ["RUNYARD_TOKEN", "RUNYARD_URL", "RUNYARD_PROJECT_ID"],
        "reads its issue": 200,
        "comments": 201,
        "reads comments": 200,
        "hears other agents": False,
        "reads another": 403,
        "why not": "A run's token reads the run's own issue and comments on it, "
        "and does nothing else.",
        "changes its issue": 403,
        "lists issues": 403,
        "reads itself": 403,
        "lists tokens": 403,
        "makes a token": 403,
        "starts": 403,
        "deletes": 403,
        "writes too much": 422,
        "by the command line show": 0,
        "by the command line comment": 0,
    }, shop.api.get(f"/runs/{run['id']}/log").text

    first, second = _comments(shop, project, issue)
    name = f"{run['agent']} · run …{run['id'][-6:]}"
    assert (first["author"], first["run_id"]) == (name, run["id"])
    assert second["body"] == "by hand"
    # the token is in neither its log nor its comment
    assert "my token is ry_" not in shop.api.get(f"/runs/{run['id']}/log").text
    assert first["body"].startswith("I am ")
    assert "ry_" not in first["body"]
    # in the audit it is no person's but the agent's, and no person's list has it
    rows = shop.api.get("/audit?deed=add_comment").json()["items"]
    assert [(one["person"], one["role"], one["via"], one["who"]) for one in rows] == [
        (None, None, "token", name)
    ] * 2
    assert {one["run_id"] for one in rows} == {run["id"]}
    exported = shop.api.get("/audit/export?deed=add_comment").text.splitlines()
    assert [json.loads(one) for one in exported] == rows
    assert shop.api.get("/tokens").json()["items"] == []
    # nothing that an agent says is told to the next one, in its prompt or when it asks
    again = shop.api.post(f"/runs/{run['id']}/retry", json={}).raise_for_status().json()
    shop.ended(again["id"])
    assert _tried(shop, again["id"])["hears other agents"] is False
    told = shop.api.post("/runs/preview", json={"project_id": project, "issue": issue}).json()
    assert "by hand" not in json.dumps(told)


def test_a_token_ends_with_its_run_and_answers_401_from_then_on(shop: Workshop) -> None:
    project = shop.add_project("waits", agent_command=_command(shop), agent_token=True)
    issue = shop.issue(project, body="please wait")
    run = shop.start(project, "", issue=issue)
    shop.live(run["id"])
    shop.wait(
        f"/projects/{project}/issues/{issue}/comments",
        lambda said: any(one["body"] == "by hand" for one in said["items"]),
    )
    token = _token_of_live(run["id"], shop)
    path = f"/api/v1/projects/{project}/issues/{issue}"
    assert _call(shop, token, "GET", path).status_code == 200

    # every other call of the app is refused while it lasts
    paths = json.loads(Path("tests/interface/files/openapi.json").read_text())["paths"]
    for template, its in paths.items():
        filled = template.replace("{project_id}", project).replace("{number}", "7")
        filled = re.sub(r"\{[^}]+\}", run["id"], filled)
        for method in its:
            answer = _call(shop, token, method.upper(), f"/api/v1{filled}", json={})
            # a forge's hook is open to all, and wants a signature
            refused = 401 if template.startswith("/hooks/") else 403
            assert answer.status_code == refused, (method, filled, answer.text)
    for page in ("/", "/me", "/metrics", f"/projects/{project}", "/audit"):
        assert _call(shop, token, "GET", page).status_code == 403, page

    # the project may take it back at once, and its text is nowhere in the database
    shop.api.patch(f"/projects/{project}", json={"agent_token": False})
    assert _call(shop, token, "GET", path).status_code == 401
    shop.api.patch(f"/projects/{project}", json={"agent_token": True})
    assert _call(shop, token, "GET", path).status_code == 200
    with closing(sqlite3.connect(shop.server.data_dir / "runyard.db")) as database:
        ((kept,),) = database.execute(
            "select token_hash from run_token where run_id = ?", (run["id"],)
        )
        assert kept == hashlib.sha256(token.encode()).hexdigest()
        assert token not in "".join(database.iterdump())

    shop.stop(run["id"])
    assert _call(shop, token, "GET", path).status_code == 401
    assert _call(shop, token, "POST", f"{path}/comments", json={"body": "x"}).status_code == 401


def test_a_commit_with_the_token_is_not_pushed(shop: Workshop) -> None:
    project = shop.add_project("leaks", agent_command=_command(shop), agent_token=True)
    issue = shop.issue(project, body="please leak")
    run = shop.ended(shop.start(project, "", issue=issue)["id"])
    assert (run["status"], run["cause"]) == ("died", "secret_found")


def test_a_run_writes_fifty_comments_and_is_told_that_it_may_write_no_more(
    shop: Workshop,
) -> None:
    project = shop.add_project("fills", agent_command=_command(shop), agent_token=True)
    issue = shop.issue(project, body="please fill")
    run = shop.ended(shop.start(project, "", issue=issue)["id"])
    assert _tried(shop, run["id"])["fills"] == 429
    assert len(_comments(shop, project, issue)) == 50


@pytest.mark.parametrize("settings", [{}, {"sandbox": "sandboxed", "network": "none"}])
def test_an_agent_without_the_setting_or_without_network_has_no_token(
    shop: Workshop, settings: dict[str, str]
) -> None:
    given = {"agent_token": True, **settings} if settings else {}
    project = shop.add_project(f"plain-{len(settings)}", agent_command=_command(shop), **given)
    run = shop.ended(shop.start(project, "", issue=shop.issue(project))["id"])
    assert _tried(shop, run["id"]) == {"has": []}


def test_the_setup_command_runs_without_the_token_of_the_agent(shop: Workshop) -> None:
    look = ["/bin/sh", "-c", "echo setup has ${RUNYARD_TOKEN:-nothing}"]
    project = shop.add_project(
        "sets-up", agent_command=_command(shop), setup_command=look, agent_token=True
    )
    run = shop.ended(shop.start(project, "", issue=shop.issue(project))["id"])
    assert "setup has nothing" in shop.api.get(f"/runs/{run['id']}/log").text
    assert _tried(shop, run["id"])["comments"] == 201


def test_a_call_that_was_begun_before_the_end_is_refused_after_it(shop: Workshop) -> None:
    project = shop.add_project("held", agent_command=_command(shop), agent_token=True)
    issue = shop.issue(project, body="please wait")
    run = shop.start(project, "", issue=issue)
    shop.live(run["id"])
    place = f"/projects/{project}/issues/{issue}/comments"
    shop.wait(place, lambda said: any(one["body"] == "by hand" for one in said["items"]))
    token, body = _token_of_live(run["id"], shop), b'{"body": "too late"}'
    parts = urlsplit(shop.server.url)
    call = HTTPConnection(str(parts.hostname), parts.port, timeout=60)
    call.putrequest("POST", f"/api/v1{place}")
    call.putheader("Authorization", f"Bearer {token}")
    call.putheader("Content-Type", "application/json")
    call.putheader("Content-Length", str(len(body)))
    call.endheaders()
    shop.stop(run["id"])
    shop.ended(run["id"])
    call.send(body)
    assert call.getresponse().status == 401
    call.close()
    assert "too late" not in [one["body"] for one in _comments(shop, project, issue)]
