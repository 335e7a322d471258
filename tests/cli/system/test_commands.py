"""Requests and output of the commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders.api_samples import (
    RUN_ID,
    a_dead_run,
    a_project,
    a_report,
    a_run,
    an_issue,
    some_stages,
)
from tests.drivers.cli.shells import Here
from tests.fakes.recorded_server import RecordedServer, Reply

OTHER_ID = "run_c0123456789abcdefgi7f3k1a"


@pytest.fixture
def full_server(server: RecordedServer) -> RecordedServer:
    """A server with a project, an issue and a run."""
    archived = a_project(id="proj_2", name="old", archived_at="2026-11-01T00:00:00Z")
    server.on("GET", "/projects", {"items": [a_project(), archived]})
    server.on("POST", "/projects", Reply(201, a_project(state="cloning")))
    server.on("DELETE", "/projects/proj_1", a_project(archived_at="2026-11-21T00:00:00Z"))
    server.on("GET", "/projects/proj_1/issues", {"items": [an_issue(3), an_issue(4)]})
    server.on("POST", "/projects/proj_1/issues", Reply(201, an_issue(5)))
    server.on("GET", "/runs", {"items": [a_run()], "next_cursor": None, "prev_cursor": None})
    server.on("POST", "/runs", Reply(201, a_run()))
    server.on("GET", f"/runs/{RUN_ID}", a_run())
    server.on("POST", f"/runs/{RUN_ID}/stop", a_run(status="stopped", label="Stopped"))
    server.on("GET", f"/runs/{RUN_ID}/timeline", {"items": some_stages("accepted", "delivered")})
    server.on("GET", f"/runs/{RUN_ID}/report", a_report())
    server.on("GET", f"/runs/{RUN_ID}/prompt", {"turns": []})
    server.on("POST", "/login-links", {"url": server.url + "/login?token=once"})
    finding = {"level": "look", "check": "git", "found": "2.30", "advice": "Install git 2.39."}
    setting = {"name": "port", "value": "8080", "origin": "default"}
    server.on("GET", "/doctor", {"items": [finding], "settings": [setting]})
    return server


PRINTING = [
    (["projects", "list"], lambda s: s.script["GET", "/api/v1/projects"][0].body),
    (["projects", "add", "/srv/demo.git"], lambda _: a_project(state="cloning")),
    (
        ["projects", "archive", "demo"],
        lambda s: s.script["DELETE", "/api/v1/projects/proj_1"][0].body,
    ),
    (["issues", "list", "-p", "demo"], lambda _: {"items": [an_issue(3), an_issue(4)]}),
    (["issues", "add", "-p", "demo", "New"], lambda _: an_issue(5)),
    (["runs", "list"], lambda s: s.script["GET", "/api/v1/runs"][0].body),
    (["runs", "show", RUN_ID], lambda _: a_run()),
    (["runs", "trigger", "-p", "demo", "--agent-type", "script"], lambda _: a_run()),
    (["runs", "stop", RUN_ID], lambda _: a_run(status="stopped", label="Stopped")),
    (["login-link"], lambda s: {"url": s.url + "/login?token=once"}),
    (["doctor"], lambda s: s.script["GET", "/api/v1/doctor"][0].body),
]


@pytest.mark.parametrize(
    ("words", "expected"), PRINTING, ids=[" ".join(words) for words, _ in PRINTING]
)
def test_json_is_the_apis_own_and_nothing_else(
    words: list[str], expected: Any, here: Here, full_server: RecordedServer
) -> None:
    ended = here(*words, "--json")
    assert (ended.code, ended.err) == (0, "")
    assert ended.json == expected(full_server)


@pytest.mark.parametrize("typed", ["7f3k1a", "…7f3k1a", "...7f3k1a", RUN_ID[4:], RUN_ID])
def test_a_run_is_found_by_its_id_or_any_ending(
    typed: str, here: Here, full_server: RecordedServer
) -> None:
    ended = here("runs", "show", typed)
    assert ended.code == 0
    assert RUN_ID in ended.out
    assert "This was delivered." in ended.out


def test_an_ambiguous_ending_names_the_candidates(here: Here, server: RecordedServer) -> None:
    server.on("GET", "/runs", {"items": [a_run(), a_run(id=OTHER_ID)]})
    ended = here("runs", "stop", "7f3k1a")
    assert ended.code == 1
    assert RUN_ID in ended.err
    assert OTHER_ID in ended.err
    assert all(one.method == "GET" for one in server.asked)


def test_a_match_elsewhere_than_at_the_end_is_none(here: Here, server: RecordedServer) -> None:
    server.on("GET", "/runs", {"items": [a_run(title="about 123456")]})
    ended = here("runs", "stop", "123456")
    assert ended.code == 1
    assert "There is no run whose id ends in 123456." in ended.err


def test_an_unknown_project_is_refused_with_the_near_or_the_known_ones(
    here: Here, full_server: RecordedServer
) -> None:
    ended = here("issues", "list", "--project", "demi")
    assert ended.code == 1
    assert "There is no project demi. Did you mean demo?" in ended.err
    ended = here("issues", "list", "--project", "elsewhere")
    assert "There is no project elsewhere. The projects are: demo." in ended.err


def test_a_trigger_sends_what_was_asked_and_no_more(
    here: Here, full_server: RecordedServer
) -> None:
    words = ["--issue", "3", "--depth-level", "deep", "--model", "large", "--key", "my-key"]
    ended = here("runs", "trigger", "--project", "demo", "--agent-type", "claude", *words)
    assert (ended.code, ended.out) == (0, RUN_ID + "\n")
    [call] = full_server.calls("POST", "/runs")
    assert call.headers["x-idempotency-key"] == "my-key"
    assert call.body == {
        "project_id": "proj_1",
        "agent": "claude",
        "issue": 3,
        "depth_level": "deep",
        "model": "large",
    }


def test_a_replay_is_said_to_be_one(here: Here, full_server: RecordedServer) -> None:
    replay = Reply(200, a_run(), {"Idempotency-Replayed": "true"})
    full_server.on("POST", "/runs", replay)
    ended = here("runs", "trigger", "-p", "demo", "--agent-type", "x", "--key", "k")
    assert ended.out == RUN_ID + "\n"
    assert "no second run was started" in ended.err


def test_filters_of_a_list_reach_the_server(here: Here, full_server: RecordedServer) -> None:
    words = ["--project", "demo", "--status", "died", "--status", "running", "--limit", "7"]
    ended = here("runs", "list", *words)
    assert ended.code == 0
    assert full_server.calls("GET", "/runs")[0].query == {
        "project_id": ["proj_1"],
        "status": ["died", "running"],
        "limit": ["7"],
    }
    assert "…7f3k1a" in ended.out
    assert "#3 Fix the parser" in ended.out


@pytest.mark.parametrize(
    ("typed", "origin", "name"),
    [
        ("https://git.example.org/team/shop.git", None, "shop"),
        ("git@git.example.org:team/shop", None, "shop"),
        ("/srv/shop.git/", "/srv/shop.git", "shop"),
    ],
)
def test_a_project_takes_its_repositorys_name(
    typed: str, origin: str | None, name: str, here: Here, full_server: RecordedServer
) -> None:
    assert here("projects", "add", typed).out == "proj_1\n"
    [call] = full_server.calls("POST", "/projects")
    assert call.body == {"name": name, "origin": origin or typed}


def test_a_folder_that_is_added_is_told_with_the_remote_it_has(
    here: Here, full_server: RecordedServer
) -> None:
    found = {"folder": "/srv/shop", "remote": "git@example.org:me/shop.git"}
    full_server.on("GET", "/origins", found)
    ended = here("projects", "add", "/srv/shop")
    assert (ended.code, ended.out) == (0, "proj_1\n")
    assert "add git@example.org:me/shop.git" in " ".join(ended.err.split())


@pytest.mark.parametrize(
    "command",
    [
        ["--agent-command", "agent", "--agent-command", "{prompt}"],
        ["--agent-command", json.dumps(["agent", "{prompt}"])],
    ],
)
def test_an_agents_command_is_words_or_json(
    command: list[str], here: Here, full_server: RecordedServer, tmp_path: Path
) -> None:
    ended = here("projects", "add", str(tmp_path), *command, "--budget-seconds", "60")
    assert ended.code == 0
    [call] = full_server.calls("POST", "/projects")
    assert call.body["agent_command"] == ["agent", "{prompt}"]
    assert (call.body["agent"], call.body["budget_seconds"]) == ("script", 60)


def test_an_issue_can_be_ready_and_told_at_length(here: Here, full_server: RecordedServer) -> None:
    words = ["issues", "add", "-p", "demo", "New", "--body", "-", "--label", "bug", "--ready"]
    assert here(*words, stdin="Much\nmore").out == "5\n"
    assert full_server.calls("POST", "/projects/proj_1/issues")[0].body == {
        "title": "New",
        "body": "Much\nmore",
        "labels": ["bug", "ready-for-agent"],
    }


def test_a_stop_carries_its_reason(here: Here, full_server: RecordedServer) -> None:
    ended = here("runs", "stop", "7f3k1a", "--reason", "wrong issue")
    assert (ended.code, ended.out) == (0, "Stopped  …7f3k1a\n")
    [call] = full_server.calls("POST", f"/runs/{RUN_ID}/stop")
    assert call.body == {"because": "wrong issue"}


@pytest.mark.parametrize(
    ("words", "code"), [([], 0), (["--strict"], 1), (["--strict", "--json"], 1)]
)
def test_doctor_fails_only_where_it_is_told_to_be_strict(
    words: list[str], code: int, here: Here, full_server: RecordedServer
) -> None:
    assert here("doctor", *words).code == code


def test_a_page_of_a_dead_run_says_why(here: Here, full_server: RecordedServer) -> None:
    full_server.on("GET", f"/runs/{RUN_ID}", a_dead_run())
    shown = here("runs", "show", RUN_ID).out
    assert "The agent ended with exit code 3." in shown
    assert "corr-of-the-run" in shown


def test_what_surrounds_agents_is_said_by_options_and_taken_back_by_empty_ones(
    full_server: RecordedServer, here: Here, tmp_path: Path
) -> None:
    full_server.on("PATCH", "/projects/proj_1", a_project())
    edit = ["projects", "edit", "demo"]
    given = ["--sandbox", "sandboxed", "--network", "allowed", "--allow-host", "example.org"]
    given += [
        "--allow-host",
        "example.org:8443",
        "--allow",
        "docker",
        "--toolchain",
        str(tmp_path / "tools"),
    ]
    here(*edit, *given, "--memory-mb", "2048", "--processes", "64")
    taken = ["--allow-host", "", "--allow", "", "--toolchain", "", "--file-mb", ""]
    here(*edit, *taken)
    first, second = (call.body for call in full_server.calls("PATCH", "/projects/proj_1"))
    assert first == {
        "sandbox": "sandboxed",
        "network": "allowed",
        "allowed_hosts": ["example.org", "example.org:8443"],
        "allow": ["docker"],
        "toolchains": [str(tmp_path / "tools")],
        "limits": {"memory_mb": 2048, "processes": 64},
    }
    lists = {"allowed_hosts": [], "allow": [], "toolchains": []}
    assert second == lists | {"limits": {"file_mb": None}}
    refused = here(*edit, "--memory-mb", "much")
    assert (refused.code, "--memory-mb takes a whole number." in refused.err) == (2, True)
