"""A29 end to end: an unsandboxed agent turns the mirror and its origin against Runyard."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.attacks.agents.test_origin_programs import RUN_BY_A_PUSH
from tests.builders.repositories import make_origin, run_git, tip_of, write_hook
from tests.drivers.cli.shells import Shell
from tests.drivers.servers.workshop import Workshop, open_workshop
from tests.drivers.web.people import person

# does its work, and on the way writes to everything that its user owns
AGENT = """
import glob, pathlib, subprocess, sys
attacker, origin, canaries = sys.argv[1:]
run = lambda *argv: subprocess.run(argv, check=True)
pathlib.Path("new.txt").write_text("work\\n")
run("git", "add", "new.txt")
run("git", "-c", "user.name=A", "-c", "user.email=a@example.test", "commit", "-qm", "Work")
more = pathlib.Path(canaries).with_name("more")
more.write_text(f'[url "{attacker}"]\\n\\tpushInsteadOf = {origin}\\n')
found = glob.glob("../../mirrors/*.git/config")
for config in found:
    with open(config, "a") as file:
        file.write(f'[url "{attacker}"]\\n\\tpushInsteadOf = {origin}\\n\\tinsteadOf = {origin}\\n')
        file.write(f'[remote "origin"]\\n\\turl = {origin}\\n\\tpushurl = {attacker}\\n')
        file.write(f'[include]\\n\\tpath = {more}\\n')
        file.write(f'[core]\\n\\tsshCommand = "touch {canaries}/ssh"\\n')
        file.write(f'[credential]\\n\\thelper = "!touch {canaries}/credential"\\n')
for name in HOOKS:
    hook = pathlib.Path(origin, ".git", "hooks", name)
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\\ntouch {canaries}/{name}\\n")
    hook.chmod(0o755)
for key in ("core.fsmonitor", "core.alternateRefsCommand"):
    run("git", "-C", origin, "config", key, f"touch {canaries}/{key}")
print("mirrors", len(found), flush=True)
"""
HOOKS = [*sorted(RUN_BY_A_PUSH), "push-to-checkout"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """A server of this file's own: the agent tampers with the config of every mirror."""
    with open_workshop(tmp_path_factory.mktemp("shop")) as shop:
        yield shop


def test_an_agent_that_writes_into_mirror_and_origin_delivers_to_origin_and_runs_nothing(
    shop: Workshop,
) -> None:
    origin = make_origin(shop.folder / "checkout")
    attacker = make_origin(shop.folder / "attacker", bare=True)
    canaries = shop.folder / "canaries"
    canaries.mkdir()
    script = shop.folder / "hostile.py"
    script.write_text(f"HOOKS = {HOOKS!r}\n{AGENT}")
    command = [sys.executable, "-I", str(script), str(attacker), str(origin), str(canaries)]
    hostile = shop.add_project("hostile", origin=origin, agent_command=command, sandbox="none")

    run = shop.delivered(hostile, "Do it")
    log = shop.api.get(f"/runs/{run['id']}/log").text
    assert "mirrors 1" in log, "the agent found what it wrote into"
    branch, sha = run["delivery"]["branch"], run["delivery"]["head_sha"]
    assert (run["status"], run["cause"]) == ("succeeded", "delivered")
    assert tip_of(origin, f"refs/heads/{branch}") == sha
    assert tip_of(attacker, f"refs/heads/{branch}") == ""

    link = Shell(shop.server.data_dir).run("login-link")
    with person(shop, link.out.strip()) as ann:
        page = ann.browser.get(f"/runs/{run['id']}").text
        assert "delivered" in page.lower()
        merged = ann.browser.post(f"/api/v1/projects/{hostile}/changes/1/merge")
    assert (merged.status_code, merged.json()["state"]) == (200, "merged"), merged.text
    assert (origin / "new.txt").read_text() == "work\n"
    assert tip_of(origin, "main") == merged.json()["merged_sha"]
    assert list(canaries.iterdir()) == []
    put_back = [line for line in _log_of(shop) if "git_settings_put_back" in line]
    assert any('"path": "config"' in line for line in put_back)


def test_an_agent_does_not_switch_on_the_hooks_it_wrote(shop: Workshop) -> None:
    """While a project is unsandboxed, the token does not identify a person."""
    hostile = shop.projects["hostile"]["id"]
    refused = shop.api.patch(f"/projects/{hostile}", json={"owner_hooks": True})
    assert refused.status_code == 403
    body = {"name": "another", "origin": shop.projects["hostile"]["origin"], "owner_hooks": True}
    made = shop.api.post("/projects", json=body | {"agent_command": ["true"]})
    assert made.status_code == 403
    assert not shop.api.get(f"/projects/{hostile}").json()["owner_hooks"]


# --- switched on -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """A server whose projects are all sandboxed, so the command line may change settings."""
    with open_workshop(tmp_path_factory.mktemp("held")) as shop:
        yield shop


def test_a_persons_hooks_run_until_they_change_and_again_once_they_say_so(held: Workshop) -> None:
    origin, said = make_origin(held.folder / "own"), held.folder / "said"
    hook = write_hook(origin / ".git", "post-receive", f"cat >> '{said}'")
    project = held.add_project("own", origin=origin)
    shell = Shell(held.server.data_dir)

    first = held.delivered(project)
    assert not said.exists()
    edited = shell.run("projects", "edit", "own", "--owner-hooks")
    assert (edited.code, edited.err) == (0, "")
    assert "run as they are" in edited.out
    second = held.delivered(project)
    assert second["delivery"]["head_sha"] in said.read_text()
    assert _hooks_lines(held, first) == _hooks_lines(held, second) == []

    hook.write_text(f"#!/bin/sh\ncat >> '{said}' # another\n")
    third = held.delivered(project)
    assert third["delivery"]["head_sha"] not in said.read_text()
    assert _hooks_lines(held, third) == [
        "the repository's own hooks were not run: they have changed since they were switched on"
    ]
    told = held.api.get(f"/projects/{project}").json()
    assert not told["owner_hooks"]
    assert "have changed since they were switched on" in told["owner_hooks_because"]
    assert "Review them, then switch them on again." in shell.run("projects", "show", "own").out

    # restoring the old content is not enough: a person must confirm
    hook.write_text(f"#!/bin/sh\ncat >> '{said}'\n")
    fourth = held.delivered(project)
    assert fourth["delivery"]["head_sha"] not in said.read_text()
    again = held.api.patch(f"/projects/{project}", json={"owner_hooks": True})
    assert (again.json()["owner_hooks"], again.json()["owner_hooks_because"]) == (True, None)
    fifth = held.delivered(project)
    assert fifth["delivery"]["head_sha"] in said.read_text()
    off = shell.run("projects", "edit", "own", "--no-owner-hooks", "--json")
    assert '"owner_hooks": false' in off.out

    rows = [row for row in _audit(held, project) if "owner_hooks" in (row["after"] or {})]
    assert len(rows) == 3
    assert {row["before"]["owner_hooks"] is None for row in rows} == {True, False}


def test_only_a_folder_has_hooks_to_switch_on(held: Workshop) -> None:
    origin = make_origin(held.folder / "with-hooks", bare=True)
    write_hook(origin, "update", "exit 0")
    project = held.add_project("with hooks", origin=origin, owner_hooks=True)
    assert held.api.get(f"/projects/{project}").json()["owner_hooks"]
    body = {
        "name": "far",
        "origin": "https://127.0.0.1/x.git",
        "owner_hooks": True,
        "agent_command": ["true"],
    }
    refused = held.api.post("/projects", json=body)
    assert refused.status_code == 422
    assert refused.json()["errors"] == [
        {
            "field": "owner_hooks",
            "message": "Only a repository in a folder of this machine has hooks that run here.",
        }
    ]


def test_a_merge_that_a_filter_would_have_to_write_says_what_to_do(held: Workshop) -> None:
    files = {"README.md": "# A project\n", ".gitattributes": "*.txt filter=own\n"}
    origin = make_origin(held.folder / "filtered", files=files)
    run_git(origin, "config", "filter.own.smudge", f"touch '{held.folder}/smudged'; cat")
    project = held.add_project("filtered", origin=origin)
    run = held.delivered(project)
    refused = held.api.post(f"/projects/{project}/changes/{run['delivery']['number']}/merge")
    assert refused.status_code == 409
    assert "where the filter own of its own config writes the files" in refused.json()["detail"]
    assert not (held.folder / "smudged").exists()
    assert not (origin / "shared.txt").exists()
    held.api.patch(f"/projects/{project}", json={"owner_hooks": True})
    merged = held.api.post(f"/projects/{project}/changes/{run['delivery']['number']}/merge")
    assert merged.status_code == 200, merged.text
    assert (held.folder / "smudged").exists()
    assert (origin / "shared.txt").exists()


def _hooks_lines(shop: Workshop, run: dict[str, object]) -> list[str]:
    answer: httpx.Response = shop.api.get(f"/runs/{run['id']}/timeline")
    events = answer.json()["items"]
    return [event["sentence"] for event in events if "own hooks" in event["sentence"]]


def _audit(shop: Workshop, project: str) -> list[dict[str, dict[str, object]]]:
    return [row for row in shop.api.get("/audit").json()["items"] if row["object"] == project]


def _log_of(shop: Workshop) -> list[str]:
    logs = sorted(Path(shop.server.data_dir).rglob("*.log*"))
    return [line for log in logs for line in log.read_text(errors="replace").splitlines()]
