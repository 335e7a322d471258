"""Exit codes: what each means, and the message that goes with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from app import __version__
from tests.builders.api_samples import RUN_ID, a_project, a_run
from tests.cli.conftest import TOKEN
from tests.drivers.cli.shells import Here, Shell
from tests.fakes.recorded_server import RecordedServer, Reply

REFUSAL = {
    "type": "about:blank",
    "title": "Conflict",
    "status": 409,
    "error": "concurrency_limit",
    "detail": "This repository is at maximum concurrency. "
    "Wait for an active run to complete and retry.",
    "correlation_id": "01HFABCDEF9Q",
}


def test_without_a_server_the_exit_code_is_3_and_the_way_out_is_named(
    lonely_shell: Shell,
) -> None:
    ended = lonely_shell.run("runs", "list")
    assert ended.code == 3
    assert ended.out == ""
    expected = "server not reachable at http://127.0.0.1:1; start it with: runyard serve\n"
    assert ended.err == expected


def test_the_way_out_names_the_folder_that_was_named(lonely_shell: Shell) -> None:
    folder = str(lonely_shell.folder / "my data")
    ended = lonely_shell.run("runs", "list", "--data-dir", folder)
    assert ended.code == 3
    assert ended.err.endswith(f"start it with: runyard serve --data-dir '{folder}'\n")


def test_a_token_of_another_server_is_said_to_be_one(here: Here, server: RecordedServer) -> None:
    problem = {"detail": "Sign in first.", "error": "not_signed_in"}
    server.on("GET", "/runs", Reply(401, problem, {"X-Correlation-Id": "c1"}))
    ended = here("runs", "list")
    assert ended.code == 1
    first, second, last = ended.err.splitlines()
    assert (first, last) == ("Sign in first.", "corr c1")
    assert "look at RUNYARD_TOKEN" in second


def test_a_refusal_is_exit_1_with_the_servers_sentence_and_the_correlation_id(
    here: Here, server: RecordedServer
) -> None:
    server.on("GET", "/projects", {"items": [a_project()]})
    server.on("POST", "/runs", Reply(409, REFUSAL, {"X-Correlation-Id": "01HFABCDEF9Q"}))
    ended = here("runs", "trigger", "--project", "demo", "--agent-type", "script", "--json")
    assert ended.code == 1
    assert ended.out == ""
    assert ended.err.splitlines() == [REFUSAL["detail"], "corr 01HFABCDEF9Q"]


def test_a_malformed_order_names_every_field(here: Here, server: RecordedServer) -> None:
    problem = {
        "detail": "The request is malformed.",
        "error": "invalid",
        "errors": [{"field": "branch", "message": "Origin has no such branch."}],
    }
    server.on("GET", "/projects", {"items": [a_project()]})
    server.on("POST", "/runs", Reply(422, problem))
    ended = here("runs", "trigger", "-p", "demo", "--agent-type", "script", "--branch", "x")
    assert ended.code == 1
    assert "branch: Origin has no such branch." in ended.err.splitlines()


@pytest.mark.parametrize(
    "words",
    [
        ["runs", "trigger"],
        ["runs", "trigger", "--project", "demo"],
        ["runs", "list", "--limit", "101"],
        ["runs", "list", "--status", "sleeping"],
        ["runs", "show", "abc"],
        ["runs", "show", "../../healthz"],
        ["serve", "--port", "0"],
        ["--data-dir", "/tmp", "runs", "list"],
        ["projects", "add", "/srv/x", "--agent-command", "[1]"],
        ["nonsense"],
    ],
    ids=" ".join,
)
def test_misuse_is_exit_2_and_asks_nobody(
    words: list[str], here: Here, server: RecordedServer
) -> None:
    ended = here(*words)
    assert ended.code == 2
    assert ended.err
    assert server.asked == []


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://example.org", "http://", "http://h:x"])
def test_an_address_that_is_none_is_misuse(url: str, lonely_shell: Shell) -> None:
    lonely_shell.extra["RUNYARD_URL"] = url
    ended = lonely_shell.run("runs", "list")
    assert ended.code == 2
    assert url in ended.err


def test_something_else_at_the_address_is_said_to_be_something_else(
    here: Here, server: RecordedServer
) -> None:
    server.on("GET", "/runs", Reply(200, b"<html>hello</html>"))
    ended = here("runs", "list")
    assert ended.code == 1
    assert f"The server at {server.url} is not Runyard." in ended.err


def test_the_folders_own_token_signs_every_call(here: Here, server: RecordedServer) -> None:
    server.on("GET", "/runs", {"items": [a_run()]})
    assert here("runs", "list").code == 0
    assert server.asked[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_the_environment_names_server_and_token(
    lonely_shell: Shell, server: RecordedServer
) -> None:
    server.on("GET", "/runs", {"items": []})
    lonely_shell.extra |= {"RUNYARD_URL": server.url + "/", "RUNYARD_TOKEN": "ry_other"}
    assert lonely_shell.run("runs", "list").code == 0
    assert server.asked[0].headers["authorization"] == "Bearer ry_other"


def test_a_folder_on_the_command_line_wins_over_the_environment(
    here: Here, shell: Shell, server: RecordedServer
) -> None:
    server.on("GET", "/runs", {"items": []})
    folder = str(shell.folder)
    shell.extra |= {"RUNYARD_URL": "http://127.0.0.1:1", "RUNYARD_TOKEN": "ry_other"}
    shell.extra["RUNYARD_DATA_DIR"] = "/nowhere"
    assert here("runs", "list", "--data-dir", folder).code == 0
    assert server.asked[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_a_proxy_of_the_environment_never_sees_the_local_token(
    here: Here, shell: Shell, server: RecordedServer
) -> None:
    server.on("GET", "/runs", {"items": []})
    shell.extra |= {"HTTP_PROXY": "http://127.0.0.1:1", "ALL_PROXY": "http://127.0.0.1:1"}
    assert here("runs", "list").code == 0


def test_a_dead_servers_address_is_not_given_our_token(
    here: Here, shell: Shell, server: RecordedServer
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (shell.folder / "server.json").write_text(json.dumps({"pid": gone.pid, "url": server.url}))
    ended = here("runs", "list")
    assert ended.code == 3
    assert server.url in ended.err
    assert server.asked == []


@pytest.mark.parametrize("holder", ["nobody", "another process"])
def test_a_stranger_at_a_servers_address_is_not_given_our_token(
    holder: str, here: Here, shell: Shell, server: RecordedServer
) -> None:
    # the pid was reused by a process that is no server
    (shell.folder / "server.json").write_text(json.dumps({"pid": os.getpid(), "url": server.url}))
    if holder == "nobody":
        (shell.folder / "lock").unlink()
    ended = here("runs", "list")
    assert (ended.code, server.asked) == (3, [])
    assert f"server not reachable at {server.url}" in ended.err


@pytest.mark.parametrize("token", ["", "ry_mine"])
def test_who_listens_at_the_usual_port_is_given_no_token(
    token: str, lonely_shell: Shell, server: RecordedServer
) -> None:
    (lonely_shell.folder / "token").write_text(TOKEN + "\n")
    lonely_shell.extra["RUNYARD_PORT"] = server.url.rpartition(":")[2]
    lonely_shell.extra |= {"RUNYARD_TOKEN": token} if token else {}
    for words in (["projects", "list"], ["runs", "stop", "x" * 30]):
        lonely_shell.run(*words)
    assert server.asked == []


def test_an_address_of_the_environment_is_given_the_folders_token_where_it_is_its_server(
    shell: Shell, lonely_shell: Shell, server: RecordedServer
) -> None:
    server.on("GET", "/runs", {"items": []}, Reply(401, {"detail": "You are not signed in."}))
    (lonely_shell.folder / "token").write_text(TOKEN + "\n")
    for one in (shell, lonely_shell):
        one.extra["RUNYARD_URL"] = server.url
    assert shell.run("runs", "list").code == 0
    refused = lonely_shell.run("runs", "list")
    assert (refused.code, "No token was sent" in refused.err) == (1, True)
    assert [one.headers.get("authorization") for one in server.asked] == [f"Bearer {TOKEN}", None]


def test_a_lost_answer_is_asked_again_once_under_the_same_key(
    here: Here, server: RecordedServer
) -> None:
    server.on("GET", "/projects", {"items": [a_project()]})
    replay = Reply(200, a_run(), {"Idempotency-Replayed": "true"})
    server.on("POST", "/runs", Reply(dropped=True), replay)
    ended = here("runs", "trigger", "-p", "proj_1", "--agent-type", "script")
    assert (ended.code, ended.out, ended.err) == (0, RUN_ID + "\n", "")
    keys = [one.headers["x-idempotency-key"] for one in server.calls("POST", "/runs")]
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert len(keys[0]) == 36


def test_an_answer_lost_twice_is_not_asked_for_a_third_time(
    here: Here, server: RecordedServer
) -> None:
    server.on("GET", "/projects", {"items": [a_project()]})
    server.on("POST", "/runs", Reply(dropped=True))
    ended = here("runs", "trigger", "-p", "demo", "--agent-type", "script")
    assert ended.code == 3
    assert len(server.calls("POST", "/runs")) == 2


def test_the_version_is_one_line(lonely_shell: Shell) -> None:
    ended = lonely_shell.run("--version")
    assert (ended.code, ended.out) == (0, f"runyard {__version__}\n")
