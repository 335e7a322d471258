"""Requests and output of the commands for projects, changes, parked work, quota and keys."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.builders.api_samples import (
    AT,
    RUN_ID,
    a_change,
    a_paused_project,
    a_project,
    a_report,
    a_run,
    kept_work,
    some_stages,
)
from tests.drivers.cli.shells import Here, Shell
from tests.fakes.recorded_server import RecordedServer, Reply

CHANGE, RUN = "/projects/proj_1/changes/4", f"/runs/{RUN_ID}"
A_COMMENT = {
    "id": 7,
    "file": "src/a.py",
    "line": 3,
    "side": "new",
    "text": "Why?\nSay so.",
    "draft": True,
    "outdated": False,
    "author": "ada",
    "created_at": AT,
    "round": None,
}
SENT = {
    **A_COMMENT,
    "id": 8,
    "file": None,
    "line": None,
    "text": "Fine.",
    "draft": False,
    "outdated": True,
    "round": 2,
}
WHY, ASKS = {"text": "Why?"}, ["changes", "request-changes", "4", "-p", "demo"]
DIFF = "diff --git a/x b/x\n-old\x1b[2J\n+new\u202e\n"
FREED = {"key": "a/b", "project_id": "proj_1", "run_id": RUN_ID}
STUCK = {
    "key": f"look.{RUN_ID}",
    "duty": "look",
    "project_id": "proj_1",
    "run_id": RUN_ID,
    "tries": 5,
    "because": "KeyError: 'x\x1b[2J'",
    "first_at": AT,
    "held_at": AT,
}
GOES = {"run_id": RUN_ID, "ended_at": AT, "bytes": 2000, "because": "age", "goes_at": AT}
HOUR = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
KEPT = {
    "keep_days": 30,
    "keep_gb": 10,
    "kept_runs": 3,
    "kept_bytes": 5000,
    "leaving": [GOES],
    "copies": {
        "kept": 2,
        "bytes": 9000,
        "staying": 1,
        "staying_bytes": 4000,
        "leaving": [GOES | {"because": "size"}],
    },
}
TOLD = {"n": 1, "text": "Do it.\n\x1b[2JNow.\n", "template": "small", "version": 2, "at": AT}
PREVIEW = {"text": "Do only this.\n", "template": "small", "version": 2, "bytes": 14}
QUOTA = {
    "limit": 20,
    "remaining": 3,
    "used": 17,
    "window_seconds": 3600,
    "reset_at": AT,
    "retry_after": 9,
}

SURROUNDED = {
    "sandbox": "sandboxed",
    "network": "allowed",
    "allowed_hosts": ["example.org"],
    "allow": ["docker"],
    "toolchains": ["/opt/go"],
    "limits": {"memory_mb": 2048, "processes": 4096, "file_mb": None, "disk_mb": None},
    "checks": [
        {
            "name": "tests",
            "command": ["make", "test"],
            "timeout_seconds": 600,
            "required": True,
        },
        {"name": "lint", "command": ["ruff"], "timeout_seconds": 5, "required": False},
    ],
    "suggested_checks": [{"name": "pytest", "command": ["pytest"]}],
    "checks_error": "Check “tests” could not be started: make was not found.",
}
LINT = '{"name": "lint", "command": ["ruff"], "required": false}'
MADE = {
    "sandbox": "contained",
    "sandbox_means": "bubblewrap",
    "network": "all",
    "allow": "docker",
    "limits": "4096 processes",
}
NAME_IT = "Work would be lost, or could not be read. Confirm with the branch name."


@pytest.fixture
def yard(server: RecordedServer) -> RecordedServer:
    """A server with a reply for each of these commands."""
    server.on("GET", "/projects", {"items": [a_project()]})
    server.on("GET", "/projects/proj_1", a_paused_project(**SURROUNDED))
    server.on("PATCH", "/projects/proj_1", a_project(agent="codex"))
    server.on("POST", "/projects/proj_1/checks/try-again", a_project())
    server.on("POST", "/projects/proj_1/ready-label", a_project())
    base = {"name": "main", "is_base": True, "updated_at": AT}
    server.on("GET", "/projects/proj_1/branches", {"items": [base]})
    changes = [a_change(), a_change(number=3, state="merged", title="Older")]
    server.on("GET", "/projects/proj_1/changes", {"items": changes})
    ci = {"state": "failed", "url": "http://ci.test/1", "failed": ["build", "lint"]}
    server.on("GET", CHANGE, a_change(ci=ci))
    server.on("GET", f"{CHANGE}/diff", Reply(200, DIFF.encode()))
    server.on("POST", f"{CHANGE}/merge", a_change(state="merged"))
    server.on("POST", f"{CHANGE}/close", a_change(state="closed"))
    server.on("GET", f"{CHANGE}/comments", {"items": [A_COMMENT, SENT]})
    server.on("POST", f"{CHANGE}/comments", A_COMMENT)
    server.on("POST", f"{CHANGE}/request-changes", a_run())
    revert = a_change(number=5, title='Revert "Older"', branch="revert/3", run_id=None, reverts=3)
    server.on("POST", "/projects/proj_1/changes/3/undo", revert)
    server.on("POST", f"{CHANGE}/resolve", a_run())
    server.on("POST", f"{CHANGE}/fix-ci", a_run())
    kept = [kept_work(), kept_work(project_id="proj_2", project_name="other", bytes=None)]
    server.on("GET", "/parked", {"items": kept})
    gone = {"project_id": "proj_1", "branch": "afk/3", "runs": 1}
    server.on("POST", "/parked/discard", gone)
    server.on("GET", "/quarantine", {"items": [STUCK]})
    server.on("POST", f"/quarantine/look.{RUN_ID}/retry", STUCK)
    server.on("GET", "/retention", KEPT)
    server.on("GET", "/quota/runs", QUOTA)
    server.on("GET", "/quota/batches", QUOTA | {"limit": 1000, "remaining": 960, "used": 40})
    server.on("GET", "/quota/concurrency", {"active": 1, "max": 3})
    server.on("POST", "/idempotency-keys/a%2Fb/reset", FREED)
    server.on("GET", RUN, a_run(provenance=MADE))
    server.on("GET", f"{RUN}/report", a_report())
    server.on("GET", f"{RUN}/prompt", {"turns": [TOLD, TOLD | {"n": 2, "template": None}]})
    server.on("POST", "/runs/preview", PREVIEW)
    server.on("GET", f"{RUN}/timeline", {"items": some_stages("accepted")})
    server.on("GET", f"{RUN}/diff", Reply(200, DIFF.encode(), {"X-Diff-Truncated": "true"}))
    server.on("POST", f"{RUN}/deliver", a_run())
    server.on("POST", f"{RUN}/release", a_run())
    return server


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("projects show demo", r"agent +script my-agent '\{prompt\}'\n(.*\n)+budget +2 h\n"),
        ("projects show demo", r"Auto paused · 4 fails\n  …000000  #1  Died  agent exited 1"),
        ("projects edit demo --agent codex", r"agent +codex"),
        (
            "projects show demo",
            r"sandbox +sandboxed\nnetwork +allowed\nhosts +example\.org\nallows +docker\n"
            r"toolchains +/opt/go\nlimits +2,048 MB of memory · 4,096 processes\n",
        ),
        (
            "projects show demo",
            r"check +tests: make test \(at most 10 min\)\n"
            r"check +lint: ruff \(at most 5 s, not required\)\n"
            r"if red +2 follow-ups, then parked\nsuggested +pytest\n"
            r"checks +Check “tests” could not",
        ),
        ("projects try-checks demo", r"The checks of demo are tried again with its next run\."),
        ("projects make-label demo", r"The repository of demo has the label ready-for-agent\."),
        ("projects list", r"demo +ready +main +script +2"),
        ("projects branches demo", r"main +base +\d+ \w+ ago\n"),
        ("changes list -p demo", r"#4 +open +afk/3 +\+10 -2 +Fix the parser\n\Z"),
        ("changes list -p demo --all", r"#3 +merged"),
        ("changes show 4 -p demo", r"#4  open  Fix the parser\nafk/3 into main, 1 commit, 2 files"),
        ("changes show 4 -p demo", r"\nCI failed: build, lint \(http://ci\.test/1\)\n"),
        ("changes merge 4 -p demo", r"#4  merged  Fix"),
        ("changes close 4 -p demo", r"#4  closed  Fix"),
        ("changes undo 3 -p demo", r'#5  open  Revert "Older"\nrevert/3 into main'),
        ("changes comments 4 -p demo", r"\n7 +draft +ada +src/a\.py:3 +Why\? Say so\.\n"),
        ("changes comments 4 -p demo", r"\n8 +round 2, outdated +ada +the whole change +Fine\.\n"),
        ("changes comment 4 -p demo Fine", r"\A7\n\Z"),
        ("changes request-changes 4 -p demo", rf"\A{RUN_ID}\n\Z"),
        ("changes resolve 4 -p demo", rf"\A{RUN_ID}\n\Z"),
        ("changes fix-ci 4 -p demo", rf"\A{RUN_ID}\n\Z"),
        ("parked list", r"afk/3 +demo +…7f3k1a +1 h 1 min +2.0 KB +2 commits +agent exited 1\n"),
        ("parked list", r"other +…7f3k1a +1 h 1 min +unknown "),
        ("parked discard afk/3 -p demo --confirm afk/3", r"Discarded afk/3\.\n"),
        ("stuck list", rf"look\.{RUN_ID} +5 +KeyError: 'x'\n\Z"),
        (f"stuck retry look.{RUN_ID}", rf"look\.{RUN_ID} will be retried\.\n"),
        (
            "retention",
            r"Logs: 3, 5.0 KB\.\nWorking copies: 2, 9.0 KB; 1 with work that stays, 4.0 KB\.\n",
        ),
        (
            "retention",
            rf"\nlog +…7f3k1a +2.0 KB +age +{HOUR}\ncopy +…7f3k1a +2.0 KB +size +{HOUR}\n\Z",
        ),
        ("quota", r"3 of 20 runs left, in any 1 h\. The next one comes back at \d\d:\d\d:\d\d\.\n"),
        ("quota", r"\n960 of 1000 batch items left, in any 1 h\. The oldest batch leaves"),
        ("quota --batches", r"^960 of 1000 batch items left, in any 1 h\."),
        ("quota -p demo", r"1 of 3 concurrent runs are open\.\n"),
        ("keys reset a/b -p demo", r"The key is free again; it had started …7f3k1a\.\n"),
        (
            f"runs report {RUN_ID}",
            r"reported +12 tools used.*\n.*claude --resume 1\n\n  \| Done\.\n",
        ),
        (f"runs timeline {RUN_ID}", r"accepted +This was accepted\.\n"),
        (
            f"runs show {RUN_ID}",
            r"sandbox +contained by bubblewrap\nnetwork +all\nallows +docker\n"
            r"limits +4096 processes\n",
        ),
        (
            f"runs show {RUN_ID}",
            r"What it was told, turn 1, by small@2:\n  \| Do it\.\n  \| Now\.\n"
            r"What it was told, turn 2:\n  \| Do it\.",
        ),
        (f"runs prompt {RUN_ID}", r"turn 1, by small@2:\n  \| Do it\."),
        (f"runs show {RUN_ID}", r"usage +120 tokens in, 45 out\n(.*\n)+.*12 tools used"),
        (f"runs deliver {RUN_ID}", r"Succeeded  …7f3k1a  42 s  change #1 open"),
        (f"runs release {RUN_ID}", r"Succeeded  …7f3k1a\n"),
    ],
)
def test_a_command_tells_people_in_few_lines(
    words: str, shown: str, here: Here, yard: RecordedServer
) -> None:
    ended = here(*words.split())
    assert (ended.code, ended.err) == (0, "")
    assert re.search(shown, ended.out), ended.out


@pytest.mark.parametrize(
    ("words", "method", "path", "body"),
    [
        (
            ["projects", "edit", "demo", "--budget-seconds", "60", "--agent-command", '["a", "b"]'],
            "PATCH",
            "/projects/proj_1",
            {"budget_seconds": 60, "agent_command": ["a", "b"]},
        ),
        (
            ["projects", "edit", "demo", "--no-resume-after-limit"],
            "PATCH",
            "/projects/proj_1",
            {"resume_after_limit": False},
        ),
        (
            ["projects", "edit", "demo", "--framework", "jest", "--framework", "pytest"],
            "PATCH",
            "/projects/proj_1",
            {"frameworks": ["jest", "pytest"]},
        ),
        (
            ["projects", "edit", "demo", "--check", "tests=make 'all tests'", "--check", LINT],
            "PATCH",
            "/projects/proj_1",
            {
                "checks": [
                    {"name": "tests", "command": ["make", "all tests"]},
                    {"name": "lint", "command": ["ruff"], "required": False},
                ]
            },
        ),
        (
            [
                *("projects", "edit", "demo", "--autoland", "--autoland-max-lines", "40"),
                *("--protected-path", ".github/", "--protected-path", "*.lock"),
            ],
            "PATCH",
            "/projects/proj_1",
            {
                "autoland": {
                    "enabled": True,
                    "max_lines": 40,
                    "protected_paths": [".github/", "*.lock"],
                }
            },
        ),
        (
            ["projects", "edit", "demo", "--no-autoland", "--protected-path", ""],
            "PATCH",
            "/projects/proj_1",
            {"autoland": {"enabled": False, "protected_paths": []}},
        ),
        (["projects", "edit", "demo", "--check", ""], "PATCH", "/projects/proj_1", {"checks": []}),
        (
            ["parked", "discard", "afk/3", "-p", "demo", "--confirm", "afk/4"],
            "POST",
            "/parked/discard",
            {"project_id": "proj_1", "branch": "afk/3", "confirm": "afk/4"},
        ),
        (
            ["changes", "close", "4", "-p", "demo", "--because", "Slow.", "--issue", "queue"],
            "POST",
            f"{CHANGE}/close",
            {"because": "Slow.", "issue": "queue"},
        ),
        (
            [*("changes", "comment", "4", "-p", "demo"), "--file", "a.py", "--line", "3", "Why?"],
            "POST",
            f"{CHANGE}/comments",
            {"text": "Why?", "file": "a.py", "line": 3},
        ),
        (["changes", "comment", "4", "-p", "demo", "Why?"], *("POST", f"{CHANGE}/comments"), WHY),
        (ASKS, "POST", f"{CHANGE}/request-changes", {}),
        ([*ASKS, "--text", "Why?"], "POST", f"{CHANGE}/request-changes", WHY),
        (
            [*ASKS, "--comment", "7", "--comment", "9"],
            "POST",
            f"{CHANGE}/request-changes",
            {"comments": [7, 9]},
        ),
        (
            ["keys", "reset", "a/b", "-p", "demo"],
            "POST",
            "/idempotency-keys/a%2Fb/reset",
            {"project_id": "proj_1"},
        ),
    ],
    ids=lambda one: one if isinstance(one, str) else " ".join(one)[:20],
)
def test_what_is_given_is_sent_and_no_more(
    words: list[str], method: str, path: str, body: Any, here: Here, yard: RecordedServer
) -> None:
    assert here(*words).code == 0
    [call] = yard.calls(method, path)
    assert call.body == body


def test_where_nothing_is_stuck_or_goes_a_command_says_so(
    here: Here, server: RecordedServer
) -> None:
    server.on("GET", "/quarantine", {"items": []})
    ended = here("stuck", "list")
    assert (ended.code, ended.out, ended.err) == (0, "", "Nothing needs help.\n")
    empty = {"leaving": [], "copies": KEPT["copies"] | {"leaving": []}}
    server.on("GET", "/retention", KEPT | empty)
    assert here("retention").out.endswith("Nothing to delete.\n")


def test_parked_work_of_one_project_is_its_alone(here: Here, yard: RecordedServer) -> None:
    assert here("parked", "list", "-p", "demo", "--json").json == {"items": [kept_work()]}


def test_a_delivery_by_hand_carries_its_key(here: Here, yard: RecordedServer) -> None:
    assert here("runs", "deliver", RUN_ID, "--key", "k").code == 0
    assert yard.calls("POST", f"{RUN}/deliver")[0].headers["x-idempotency-key"] == "k"


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (["runs", "deliver", RUN_ID], f"{RUN}/deliver"),
        (["changes", "merge", "4", "-p", "demo"], f"{CHANGE}/merge"),
    ],
)
def test_what_a_check_kept_here_is_pushed_at_the_persons_word_alone(
    here: Here, yard: RecordedServer, words: list[str], path: str
) -> None:
    assert here(*words).code == 0
    assert here(*words, "--push-anyway").code == 0
    plain, anyway = yard.calls("POST", path)
    assert not plain.body
    assert anyway.body == {"push_anyway": True}


def test_an_empty_branch_of_an_issue_is_freed_without_its_name(
    here: Here, yard: RecordedServer
) -> None:
    ended = here("parked", "discard", "afk/3", "-p", "demo")
    assert (ended.code, ended.out) == (0, "Discarded afk/3.\n")
    [call] = yard.calls("POST", "/parked/discard")
    assert call.body == {"project_id": "proj_1", "branch": "afk/3"}


def test_work_is_not_discarded_without_its_name_and_the_refusal_is_shown(
    here: Here, yard: RecordedServer
) -> None:
    problem = {"error": "confirm_mismatch", "detail": NAME_IT}
    yard.on("POST", "/parked/discard", Reply(422, problem))
    ended = here("parked", "discard", "afk/3", "-p", "demo")
    assert (ended.code, ended.out) == (1, "")
    assert NAME_IT in ended.err


@pytest.mark.parametrize(
    "words", [["runs", "diff", RUN_ID], ["changes", "diff", "4", "-p", "demo"]], ids=" ".join
)
def test_a_diff_is_every_byte_in_a_pipe_and_harmless_on_a_terminal(
    words: list[str], here: Here, shell: Shell, yard: RecordedServer
) -> None:
    ended = here(*words)
    assert ended.out == DIFF
    assert ("cut off" in ended.err) == (words[0] == "runs")
    shown = shell.run_on_a_terminal(*words).out
    assert "\x1b[31m-old\x1b[0m\n\x1b[32m+new\\u202e\x1b[0m\n" in shown


def test_a_page_that_is_not_the_last_says_where_it_goes_on(
    here: Here, server: RecordedServer
) -> None:
    server.on("GET", "/runs", {"items": [a_run()], "next_cursor": "abc"})
    assert "More: --cursor abc" in here("runs", "list").err
    words = ["--cursor", "abc", "--phase", "done", "--trigger", "auto", "-q", "parser"]
    assert here("runs", "list", *words, "--branch", "afk/3", "--json").err == ""
    assert server.calls("GET", "/runs")[1].query == {
        "cursor": ["abc"],
        "phase": ["done"],
        "trigger": ["auto"],
        "q": ["parser"],
        "branch": ["afk/3"],
    }


def test_a_trigger_takes_what_the_api_takes(here: Here, server: RecordedServer) -> None:
    server.on("GET", "/projects", {"items": [a_project()]})
    server.on("POST", "/runs", Reply(201, a_run()))
    words = ["--delivers", "report", "--delay", "60", "--ttl", "600", "--tag", "a", "--tag", "b"]
    words += ["--pr-number", "7"]
    assert here("runs", "trigger", "-p", "demo", "--agent-type", "x", *words).code == 0
    body = server.calls("POST", "/runs")[0].body
    assert {name: body[name] for name in ("pr_number", "delivers", "delay", "ttl", "tags")} == {
        "pr_number": 7,
        "delivers": "report",
        "delay": 60,
        "ttl": 600,
        "tags": ["a", "b"],
    }


@pytest.mark.parametrize(
    ("stand", "until", "told"),
    [
        ("held", None, "you lift it"),
        ("due", AT, "Next to try"),
        ("probing", AT, "Trying"),
        ("easing", AT, "Available again"),
    ],
)
def test_a_hold_tells_where_it_stands_and_no_time_that_is_over(
    here: Here, server: RecordedServer, stand: str, until: str | None, told: str
) -> None:
    hold = {"agent": "claude", "family": "opus", "stand": stand, "until": until, "waiting": 2}
    hold |= {"run_id": RUN_ID, "evidence": "You've hit your limit"}
    server.on("GET", "/quota/accounts", {"items": [hold]})
    ended = here("limits", "list")
    assert told in ended.out


def test_runs_are_listed_by_what_the_server_can_filter_and_a_short_look_is_told(
    shell: Shell, server: RecordedServer
) -> None:
    page = {"items": [a_run(title="Tidy")], "next_cursor": None, "looked_among": 20000}
    server.on("GET", "/runs", page)
    words = ["--tag", "nightly", "--agent", "codex", "--depth-level", "deep", "--issue", "7"]
    words += ["--target-framework", "jest", "--batch", "batch_1", "--created-after"]
    done = shell.run("runs", "list", *words, "2026-11-22T02:00:00Z")
    assert done.code == 0
    assert "Tidy" in done.out
    assert done.err == "Searched the newest 20,000 runs.\n"
    [call] = server.calls("GET", "/runs")
    moment = datetime.fromisoformat(call.query.pop("created_after")[0])
    assert moment == datetime(2026, 11, 22, 2, tzinfo=UTC)
    assert call.query == {
        "tag": ["nightly"],
        "agent": ["codex"],
        "depth_level": ["deep"],
        "issue": ["7"],
        "target_framework": ["jest"],
        "batch_id": ["batch_1"],
    }
    assert shell.run("runs", "list", "--created-before", "tomorrow-ish").code == 2


def test_a_preview_prints_the_prompt_alone_and_starts_nothing(
    here: Here, yard: RecordedServer
) -> None:
    words = ["--project", "demo", "--agent-type", "claude", "--task", "this", "--template", "small"]
    ended = here("runs", "trigger", *words, "--preview")
    assert (ended.code, ended.out) == (0, "Do only this.\n")
    assert ended.err == "By the template small@2.\n"
    [call] = yard.calls("POST", "/runs/preview")
    assert (call.body["task"], call.body["template"]) == ("this", "small")
    assert yard.calls("POST", "/runs") == []


@pytest.mark.parametrize("words", [["add", "small"], ["edit", "small"]])
def test_a_template_without_a_text_is_a_mistake(words: list[str], here: Here) -> None:
    ended = here("templates", *words, "-p", "shop")
    assert ended.code == 2
    assert "--text" in ended.err
