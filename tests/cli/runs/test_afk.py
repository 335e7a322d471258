"""`runyard afk`: its requests, output and exit codes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.builders.api_samples import (
    RUN_ID,
    a_dead_run,
    a_failure,
    a_paused_project,
    a_project,
    a_run,
    a_running_run,
    some_stages,
)
from tests.drivers.cli.shells import Here, Shell
from tests.fakes.recorded_server import RecordedServer, Reply

START, AUTO = "/projects/proj_1/afk/start", "/projects/proj_1/afk/auto"
RESET, NEXT = "/projects/proj_1/afk/reset", "/projects/proj_1/next"
NOTHING_READY = {
    "detail": "No ready-for-agent issues to start.",
    "error": "nothing_ready",
    "status": 409,
}
PLAN = {
    "would": {"issue": 12},
    "because": "would start #12",
    "holds": [
        {"issue": 9, "because": "parked: afk/9"},
        {"issue": 14, "because": "blocked by #12"},
    ],
}
FAILURES = [
    "  …000000  #1  Died  agent exited 1",
    "  …000001  #2  Died  its time was used up",
    "  …000002  #3  Died  agent exited 2",
]
HELD = {"would": None, "because": "auto runs are paused after 3 fails", "holds": []}


@pytest.fixture
def yard(server: RecordedServer) -> RecordedServer:
    """A server with one project, whose AFK calls succeed."""
    server.on("GET", "/projects", {"items": [a_project()]})
    server.on("POST", START, Reply(201, a_running_run()))
    server.on("PUT", AUTO, a_project(auto_enabled=True))
    server.on("POST", RESET, a_project(auto_enabled=True))
    server.on("GET", NEXT, PLAN)
    return server


@pytest.mark.parametrize(
    ("words", "method", "path"),
    [
        (["start", "demo"], "POST", START),
        (["auto", "demo", "on"], "PUT", AUTO),
        (["reset", "demo"], "POST", RESET),
        (["next", "demo"], "GET", NEXT),
    ],
    ids=lambda one: one if isinstance(one, str) else " ".join(one),
)
def test_json_is_the_apis_own_and_nothing_else(
    words: list[str], method: str, path: str, here: Here, yard: RecordedServer
) -> None:
    ended = here("afk", *words, "--json")
    assert (ended.code, ended.err) == (0, "")
    assert ended.json == yard.script[method, f"/api/v1{path}"][0].body


@pytest.mark.parametrize("project", ["demo", "proj_1"])
@pytest.mark.parametrize(
    ("words", "sent"), [([], {}), (["--issue", "12"], {"issue": 12})], ids=["lowest", "chosen"]
)
def test_a_start_sends_its_issue_and_key_and_prints_the_run(
    project: str, words: list[str], sent: dict[str, Any], here: Here, yard: RecordedServer
) -> None:
    ended = here("afk", "start", project, *words, "--key", "my-key")
    assert (ended.code, ended.out, ended.err) == (0, RUN_ID + "\n", "")
    [call] = yard.calls("POST", START)
    assert (call.body, call.headers["x-idempotency-key"]) == (sent, "my-key")


def test_a_start_without_a_key_makes_one(here: Here, yard: RecordedServer) -> None:
    for _ in range(2):
        assert here("afk", "start", "demo").code == 0
    keys = {call.headers["x-idempotency-key"] for call in yard.calls("POST", START)}
    assert {len(key) for key in keys} == {36}
    assert len(keys) == 2


def test_a_lost_answer_is_asked_again_once_under_the_same_key(
    here: Here, yard: RecordedServer
) -> None:
    replay = Reply(200, a_run(), {"Idempotency-Replayed": "true"})
    yard.on("POST", START, Reply(dropped=True), replay)
    ended = here("afk", "start", "demo")
    assert (ended.code, ended.out, ended.err) == (0, RUN_ID + "\n", "")
    first, second = (one.headers["x-idempotency-key"] for one in yard.calls("POST", START))
    assert first == second


def test_a_replay_is_said_to_be_one(here: Here, yard: RecordedServer) -> None:
    yard.on("POST", START, Reply(200, a_run(), {"Idempotency-Replayed": "true"}))
    ended = here("afk", "start", "demo", "--key", "k")
    assert (ended.code, ended.out) == (0, RUN_ID + "\n")
    assert "no second run was started" in ended.err


@pytest.mark.parametrize(
    ("run", "code", "last"),
    [
        (a_run(), 0, "Succeeded  …7f3k1a  42 s  change #1 open, 1 commit, 2 files, +10 -2"),
        (a_dead_run(), 4, "Died  …7f3k1a  42 s  The agent ended with exit code 3."),
    ],
    ids=["succeeded", "died"],
)
def test_a_start_that_is_waited_for_ends_as_its_run_did(
    run: dict[str, Any], code: int, last: str, here: Here, yard: RecordedServer
) -> None:
    yard.on("GET", f"/runs/{RUN_ID}", run)
    yard.on("GET", f"/runs/{RUN_ID}/timeline", {"items": some_stages("accepted", "exited")})
    yard.on("GET", f"/runs/{RUN_ID}/events", Reply(204))
    ended = here("afk", "start", "demo", "--wait")
    assert ended.code == code
    assert ended.out.splitlines() == [RUN_ID, last]
    assert "This was exited." in ended.err


@pytest.mark.parametrize("words", [[], ["--json"], ["--wait"]], ids=["plain", "json", "wait"])
def test_nothing_to_start_is_exit_1_with_the_servers_sentence(
    words: list[str], here: Here, yard: RecordedServer
) -> None:
    yard.on("POST", START, Reply(409, NOTHING_READY, {"X-Correlation-Id": "corr-1"}))
    ended = here("afk", "start", "demo", *words)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines() == ["No ready-for-agent issues to start.", "corr corr-1"]


@pytest.mark.parametrize("words", [["start"], ["auto", "x"], ["reset"], ["next"]], ids=" ".join)
def test_an_unknown_project_is_refused_with_the_known_ones(
    words: list[str], here: Here, yard: RecordedServer
) -> None:
    command, *rest = words
    ended = here("afk", command, "shop", *(["on"] if rest else []))
    assert (ended.code, ended.out) == (1, "")
    assert "There is no project shop. The projects are: demo." in ended.err


@pytest.mark.parametrize(
    "words",
    [
        ["afk", "start"],
        ["afk", "start", "demo", "--issue", "0"],
        ["afk", "auto", "demo"],
        ["afk", "auto", "demo", "maybe"],
        ["afk", "next"],
    ],
    ids=" ".join,
)
def test_misuse_is_exit_2_and_asks_nobody(
    words: list[str], here: Here, yard: RecordedServer
) -> None:
    ended = here(*words)
    assert ended.code == 2
    assert ended.err
    assert yard.asked == []


@pytest.mark.parametrize(("word", "enabled"), [("on", True), ("off", False)])
def test_the_loop_is_switched_and_says_how_it_stands(
    word: str, enabled: bool, here: Here, yard: RecordedServer
) -> None:
    yard.on("PUT", AUTO, a_project(auto_enabled=enabled, strikes=1))
    ended = here("afk", "auto", "demo", word)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"demo: Auto AFK runs: {word.title()} · 1 fail in a row\n"
    [call] = yard.calls("PUT", AUTO)
    assert call.body == {"enabled": enabled}


def test_switching_a_paused_loop_tells_the_pause_its_reasons_and_the_way_out(
    here: Here, yard: RecordedServer
) -> None:
    yard.on("PUT", AUTO, a_paused_project())
    ended = here("afk", "auto", "demo", "on")
    assert ended.code == 0
    assert lines_without_ages(ended.out) == [
        "demo: Auto AFK runs: On · 4 fails in a row",
        "Auto paused · 4 fails",
        *FAILURES,
        "Continue with: runyard afk reset demo",
    ]


def lines_without_ages(text: str) -> list[str]:
    """Return the lines without ages, which change while the test runs."""
    return [re.sub(r"  \d+ \w+ ago$", "", line) for line in text.splitlines()]


def test_the_failures_that_are_counted_are_told_newest_first(
    here: Here, yard: RecordedServer
) -> None:
    yard.on("GET", "/projects", {"items": [a_paused_project(name="my shop")]})
    ended = here("afk", "failures", "my shop")
    assert lines_without_ages(ended.out) == [
        *FAILURES,
        "Continue with: runyard afk reset 'my shop'",
    ]
    as_json = here("afk", "failures", "my shop", "--json").json
    assert as_json == {"items": a_paused_project()["recent_failures"]}


def test_no_failures_are_said_to_be_none(here: Here, yard: RecordedServer) -> None:
    ended = here("afk", "failures", "demo")
    assert (ended.code, ended.out, ended.err) == (0, "", "No failures counted.\n")


def test_a_paused_project_tells_its_failures_with_what_comes_next(
    here: Here, yard: RecordedServer
) -> None:
    yard.on("GET", "/projects", {"items": [a_paused_project()]})
    yard.on("GET", NEXT, HELD)
    assert lines_without_ages(here("afk", "next", "demo").out) == [
        "auto runs are paused after 3 fails",
        "Auto paused · 4 fails",
        *FAILURES,
        "Continue with: runyard afk reset demo",
    ]


def test_a_reset_says_that_nothing_is_counted_any_more(here: Here, yard: RecordedServer) -> None:
    ended = here("afk", "reset", "demo")
    assert (ended.code, ended.out) == (0, "demo: Auto AFK runs: On · 0 fails in a row\n")
    assert len(yard.calls("POST", RESET)) == 1


def test_what_comes_next_is_told_with_every_issue_that_waits(
    here: Here, yard: RecordedServer
) -> None:
    ended = here("afk", "next", "demo")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        *("would start #12", "  #9: parked: afk/9", "  #14: blocked by #12")
    ]
    yard.on("GET", NEXT, HELD)
    assert here("afk", "next", "demo").out == "auto runs are paused after 3 fails\n"


def test_each_issue_that_waits_takes_one_line_of_the_terminal(
    shell: Shell, yard: RecordedServer
) -> None:
    long = {
        "would": None,
        "because": "all wait " * 40,
        "holds": [{"issue": 9, "because": "x" * 600}],
    }
    yard.on("GET", NEXT, long)
    shell.extra["NO_COLOR"] = "1"
    lines = shell.run_on_a_terminal("afk", "next", "demo", columns=60).out.splitlines()
    assert [len(line) for line in lines] == [60, 60]
    assert all(line.endswith("…") for line in lines)
    assert shell.run("afk", "next", "demo", "--json").json == long


def test_colours_are_for_terminals_that_want_them(shell: Shell, yard: RecordedServer) -> None:
    assert "\x1b[" in shell.run_on_a_terminal("afk", "next", "demo").out
    shell.extra["NO_COLOR"] = "1"
    assert "\x1b[" not in shell.run_on_a_terminal("afk", "next", "demo").out


def test_a_hostile_reason_keeps_its_text_and_loses_its_teeth(
    here: Here, yard: RecordedServer
) -> None:
    failure = a_failure("a\x1b]0;owned\x07b\nforged")
    yard.on("PUT", AUTO, a_paused_project(recent_failures=[failure]))
    assert "…000000  #1  Died  ab\\nforged" in here("afk", "auto", "demo", "on").out


@pytest.mark.parametrize(
    ("project", "row"),
    [
        (a_project(), r"ready +main +script +2 +0 +off +0$"),
        (a_project(auto_enabled=True, strikes=2), r"ready +main +script +2 +0 +on +2$"),
        (a_paused_project(ready_count=None), r"ready +main +script +\? +0 +on, paused +4$"),
        (a_paused_project(auto_enabled=False), r"ready +main +script +2 +0 +off, paused +4$"),
    ],
    ids=["quiet", "on", "paused", "paused and off"],
)
def test_the_list_of_projects_tells_how_each_loop_stands(
    project: dict[str, Any], row: str, here: Here, server: RecordedServer
) -> None:
    server.on("GET", "/projects", {"items": [project]})
    header, told = here("projects", "list").out.splitlines()
    assert header.split()[4:] == ["READY", "LIVE", "AUTO", "STRIKES"]
    assert re.search(row, told)


def test_the_list_of_projects_names_those_whose_agents_are_unsandboxed(
    here: Here, server: RecordedServer
) -> None:
    projects = [a_project(), a_project(name="bare", sandbox="none")]
    server.on("GET", "/projects", {"items": projects})
    _, demo, bare = here("projects", "list").out.splitlines()
    assert "unsandboxed" not in demo
    assert re.search(r"^bare +ready +main +script, unsandboxed +", bare)
