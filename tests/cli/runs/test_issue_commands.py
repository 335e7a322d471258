"""`runyard issues show
edit
close
reopen
comment`: requests and output.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders.api_samples import AT, a_project, an_issue
from tests.drivers.cli.shells import Here, Shell
from tests.fakes.recorded_server import RecordedServer, Reply

PATH = "/projects/proj_1/issues/3"


@pytest.fixture
def tracker(server: RecordedServer) -> RecordedServer:
    """A server with an issue and a comment on it."""
    server.on("GET", "/projects", {"items": [a_project()]})
    said = {"id": 1, "author": "ann", "body": "Use \x1b[31mDecimal\nplease", "created_at": AT}
    issue = an_issue(
        3,
        labels=["bug", "ready-for-agent"],
        body="Sums differ.",
        hold="parked: x",
        blocked_by=[4, 5],
    )
    server.on("GET", PATH, issue)
    server.on("GET", f"{PATH}/comments", {"items": [said]})
    server.on("POST", f"{PATH}/comments", Reply(201, said))
    server.on("PATCH", PATH, an_issue(3, state="closed", ready=False, claimable=False))
    return server


def test_an_issue_is_shown_with_what_was_said_on_it(here: Here, tracker: RecordedServer) -> None:
    ended = here("issues", "show", "3", "-p", "demo")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0].startswith("#3  ")
    assert "Issue 3" in lines[0]
    assert "labels: bug, ready-for-agent" in lines
    assert "blocked by: #4, #5" in lines
    assert "waits: parked: x" in lines
    assert "  Sums differ." in lines
    assert f"ann, {AT}:" in lines
    assert "\x1b" not in ended.out


def test_a_blocker_that_does_not_exist_is_named(here: Here, tracker: RecordedServer) -> None:
    issue = an_issue(3, notes=["#998 does not exist", "#999 does not exist"])
    tracker.on("GET", PATH, issue)
    tracker.on("GET", "/projects/proj_1/issues", {"items": [issue]})
    words = "#998 does not exist; #999 does not exist"
    assert f"note: {words}" in here("issues", "show", "3", "-p", "demo").out
    assert words in here("issues", "list", "-p", "demo").out


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (["close", "3"], {"state": "closed"}),
        (["reopen", "3"], {"state": "open"}),
        (["move", "3", "--before", "1"], {"before": 1}),
        (["move", "3", "--after", "1"], {"after": 1}),
        (["edit", "3", "--priority", "urgent"], {"priority": "urgent"}),
        (["edit", "3", "--title", "New", "--body", ""], {"title": "New", "body": ""}),
        (
            ["edit", "3", "--label", "x", "--label", "bug", "--not-ready"],
            {"labels": ["bug", "x"], "was": {"labels": ["bug", "ready-for-agent"]}},
        ),
        (
            ["edit", "3", "--unlabel", "bug", "--unlabel", "other", "--ready"],
            {"labels": ["ready-for-agent"], "was": {"labels": ["bug", "ready-for-agent"]}},
        ),
        (
            ["edit", "3", "--blocked-by", "9", "--not-blocked-by", "5"],
            {"blocked_by": [4, 9], "was": {"body": "Sums differ."}},
        ),
    ],
)
def test_only_what_is_given_is_changed(
    here: Here, tracker: RecordedServer, words: list[str], body: dict[str, Any]
) -> None:
    ended = here("issues", *words, "-p", "demo")
    assert (ended.code, ended.err) == (0, "")
    assert "closed" in ended.out
    assert [call.body for call in tracker.calls("PATCH", PATH)] == [body]


def test_a_text_may_come_from_standard_input(here: Here, tracker: RecordedServer) -> None:
    here("issues", "edit", "3", "-p", "demo", "--body", "-", stdin="From\na file")
    assert tracker.calls("PATCH", PATH)[0].body == {"body": "From\na file"}
    ended = here("issues", "comment", "3", "-", "-p", "demo", stdin="Said\nso")
    assert (ended.code, ended.out) == (0, "Commented on #3.\n")
    assert tracker.calls("POST", f"{PATH}/comments")[0].body == {"body": "Said\nso"}


@pytest.mark.parametrize("words", [["edit", "3"], ["edit", "0", "--title", "x"], ["close", "x"]])
def test_what_says_nothing_to_do_is_a_mistake(
    here: Here, tracker: RecordedServer, words: list[str]
) -> None:
    ended = here("issues", *words, "-p", "demo")
    assert ended.code == 2
    assert tracker.calls("PATCH", PATH) == []


def test_json_is_the_apis_own(here: Here, tracker: RecordedServer) -> None:
    for words in (["show", "3"], ["close", "3"], ["comment", "3", "x"]):
        ended = here("issues", *words, "-p", "demo", "--json")
        assert (ended.code, ended.err) == (0, "")
        assert ended.json


def test_a_title_of_six_hundred_letters_leaves_room_for_why_it_waits(
    shell: Shell, tracker: RecordedServer
) -> None:
    title = "Round tax per line " * 30
    long = an_issue(3, title=title, hold="blocked by #2")
    tracker.on("GET", "/projects/proj_1/issues", {"items": [long]})
    shell.extra["NO_COLOR"] = "1"
    lines = shell.run_on_a_terminal("issues", "list", "-p", "demo", columns=80).out.splitlines()
    assert len(lines) == 2
    assert len(lines[1]) <= 80
    assert "…" in lines[1]
    assert lines[1].endswith("blocked by #2")
    ended = shell.run("issues", "list", "-p", "demo", "--json")
    assert ended.json["items"][0]["title"] == title
