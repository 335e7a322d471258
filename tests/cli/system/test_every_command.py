"""Every command against one real server: three as fresh processes, the others forked."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

import pytest

from tests.builders.repositories import make_origin
from tests.drivers.cli.click_tree import every_leaf
from tests.drivers.cli.live_shell import LiveShell


@dataclass(frozen=True)
class Mill:
    """A project with an object for every command to work on."""

    issue: str
    issue_too: str
    delivered: str
    delivered_too: str
    failed: str
    broken: str
    waiting: str
    planned: str
    planned_too: str
    change: str
    change_too: str
    change_reviewed: str
    asked: str
    asked_too: str
    branch: str
    spare: str
    person: str
    token: str


# Independent of each other: no command needs an object that another one changes. `demo`, `backup`
# and `restore` are in test_demo.py and test_backups.py, those of forges in test_forges.py; `serve`
# is the server they talk to.
COMMANDS: dict[str, list[str]] = {
    "login-link": ["--json"],
    "doctor": ["--json"],
    "quota": ["--project", "mill", "--json"],
    "projects list": ["--json"],
    "projects show": ["mill", "--json"],
    "projects add": ["{spare}", "--name", "another", "--agent", "claude", "--json"],
    "projects edit": ["mill", "--budget-seconds", "600", "--json"],
    "projects try-checks": ["mill", "--json"],
    "projects trust": ["mill", "--json"],
    "projects branches": ["mill", "--json"],
    "projects archive": ["spare", "--json"],
    "projects unarchive": ["spare", "--json"],
    "templates add": ["-p", "mill", "small", "--text", "Only {{task}}", "--json"],
    "templates list": ["-p", "mill", "--json"],
    "templates show": ["-p", "mill", "fix-tests", "--json"],
    "templates edit": ["-p", "mill", "small", "--text", "Just {{task}}", "--json"],
    "templates remove": ["-p", "mill", "small", "--json"],
    "issues list": ["-p", "mill", "--json"],
    "issues add": ["-p", "mill", "Made by the table", "--json"],
    "issues show": ["{issue}", "-p", "mill", "--json"],
    "issues edit": ["{issue}", "-p", "mill", "--label", "bug", "--json"],
    "issues move": ["{issue}", "-p", "mill", "--before", "{issue_too}", "--json"],
    "issues approve": ["{issue}", "-p", "mill", "--json"],
    "issues comment": ["{issue}", "-p", "mill", "Said so", "--json"],
    "issues close": ["{issue}", "-p", "mill", "--json"],
    "issues reopen": ["{issue}", "-p", "mill", "--json"],
    "changes list": ["-p", "mill", "--json"],
    "changes show": ["{change}", "-p", "mill", "--json"],
    "changes comments": ["{change}", "-p", "mill", "--json"],
    "changes comment": ["{change_reviewed}", "-p", "mill", "Why?", "--json"],
    "changes request-changes": ["{change_reviewed}", "-p", "mill", "--text", "Shorter.", "--json"],
    "changes diff": ["{change}", "-p", "mill"],
    "changes merge": ["{change}", "-p", "mill", "--json"],
    "changes cancel-merge": ["{change_too}", "-p", "mill", "--json"],
    "changes close": ["{change_too}", "-p", "mill", "--json"],
    "approvals list": ["--all", "--json"],
    "approvals approve": ["{asked}", "--comment", "go", "--json"],
    "approvals reject": ["{asked_too}", "--comment", "not today", "--json"],
    "runs list": ["-p", "mill", "--phase", "done", "--json"],
    "runs trigger": ["-p", "mill", "--agent-type", "script", "--task", "please fail", "--json"],
    "runs retry": ["{failed}", "--from", "fresh", "--json"],
    "runs move": ["{planned}", "tomorrow 02:00", "--json"],
    "runs start-now": ["{planned_too}", "--json"],
    "runs wait": ["{delivered}", "--json"],
    "runs show": ["{delivered}", "--json"],
    "runs prompt": ["{delivered}", "--json"],
    "runs timeline": ["{delivered}", "--json"],
    "runs report": ["{delivered}", "--json"],
    "runs checks": ["{delivered}", "--json"],
    "runs logs": ["{delivered}", "--follow"],
    "runs diff": ["{delivered}"],
    "export": ["{delivered}", "-o", "{spare}.zip", "--json"],
    "runs stop": ["{waiting}", "--json"],
    "runs deliver": ["{broken}", "--json"],
    "afk start": ["mill", "--issue", "{issue}", "--json"],
    "afk auto": ["mill", "off", "--json"],
    "afk next": ["mill", "--json"],
    "afk failures": ["mill", "--json"],
    "afk reset": ["mill", "--json"],
    "retention": ["--json"],
    "stuck list": ["--json"],
    "parked list": ["-p", "mill", "--json"],
    "parked discard": ["{branch}", "-p", "mill", "--confirm", "{branch}", "--json"],
    "limits list": ["--json"],
    "keys reset": ["the-mills-key", "-p", "mill", "--json"],
    "notifications list": ["--json"],
    "notifications choices": ["--json"],
    "notifications choose": ["failed", "--project", "mill", "--json"],
    "audit list": ["--json"],
    "users list": ["--json"],
    "users invite": ["new@example.com", "--role", "viewer", "--in", "mill=operator", "--json"],
    "users link": ["{person}", "--json"],
    "users role": ["{person}", "user", "--in", "mill=operator", "--json"],
    "users quota": ["{person}", "20", "--json"],
    "users agents": ["{person}", "script", "--json"],
    "users disable": ["{person}", "--json"],
    "users enable": ["{person}", "--json"],
    "organisations list": ["--json"],
    "organisations add": ["acme", "--json"],
    "tokens list": ["--json"],
    "tokens add": ["nightly", "--scope", "runs", "-p", "mill", "--days", "7", "--json"],
    "tokens revoke": ["{token}"],
}
# Commands that can only be refused here, by the server.
REFUSED: dict[str, list[str]] = {
    "changes resolve": ["{change}", "-p", "mill"],
    "projects make-label": ["mill"],
    "changes fix-ci": ["{change}", "-p", "mill"],
    "changes undo": ["{change_too}", "-p", "mill"],
    "runs release": ["{delivered}"],
    "runs resume": ["{delivered}"],
    "limits lift": ["claude"],
    "stuck retry": ["look.{delivered}"],
    "notifications test": [],
}
TELLING_PROGRESS = {"runs wait"}
# Python is started anew for one that reads, one that writes and one that follows a log.
FRESH = {"projects list", "issues add", "runs logs"}
ELSEWHERE = {
    *("batch", "serve", "demo", "backup", "restore", "audit verify", "audit export"),
    *("login", "logout", "token rotate"),
    *("forges list", "forges add", "forges check", "forges edit", "forges hook", "forges remove"),
    *("projects import", "secrets rotate"),
}


@pytest.fixture(scope="module")
def mill(live: LiveShell) -> Mill:
    """A project with runs that ended in different ways and one that is running."""
    live.add_project("mill")
    words = ["-p", "mill", "--agent-type", "script", "--task", "please fail"]
    live.run("runs", "trigger", *words, "--key", "the-mills-key", "--tag", "first")
    tasks = ("greet", "greet", "greet", "please fail", "please break", "please break again")
    ids = [live.start("mill", task) for task in tasks]
    ended = [live.run("runs", "wait", one, "--json").json for one in ids]
    delivered, delivered_too, reviewed, failed, broken, kept = ended
    later = [*words[:-1], "tomorrow's", "--delay", "1d", "--json"]
    planned, planned_too = (live.run("runs", "trigger", *later).json["id"] for _ in range(2))
    asked, asked_too = asked_for(live)
    spare = make_origin(live.folder / "origins" / "spare")
    live.run("projects", "add", str(spare), "--agent", "claude")
    return Mill(
        issue=live.run("issues", "add", "-p", "mill", "Grind").out.strip(),
        issue_too=live.run("issues", "add", "-p", "mill", "Sift").out.strip(),
        delivered=delivered["id"],
        delivered_too=delivered_too["id"],
        failed=failed["id"][-6:],
        broken=broken["id"],
        waiting=live.start("mill", "please wait"),
        planned=planned,
        planned_too=planned_too,
        change=str(delivered["delivery"]["number"]),
        change_too=str(delivered_too["delivery"]["number"]),
        change_reviewed=str(reviewed["delivery"]["number"]),
        asked=asked,
        asked_too=asked_too[-8:],
        branch=kept["work_branch"],
        spare=str(spare),
        person=live.run("users", "invite", "bo@example.com", "--json").json["email"],
        token=live.run("tokens", "add", "spent", "--scope", "read", "--json").json["name"],
    )


def asked_for(live: LiveShell) -> list[str]:
    """Return the approvals of two runs that wait for one."""
    live.add_project("guarded")
    live.run("projects", "edit", "guarded", "--approve-start", "--json")
    for task in ("greet", "please fail"):
        live.start("guarded", task)
    listed = live.run("approvals", "list", "-p", "guarded", "--json").json["items"]
    return [one["id"] for one in listed]


def filled(words: list[str], mill: Mill) -> list[str]:
    """Fill this project's ids into the words."""
    return [word.format(**asdict(mill)) for word in words]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_does_what_it_says_and_prints_json_alone(
    command: str, live: LiveShell, mill: Mill
) -> None:
    words = COMMANDS[command]
    shell = replace(live, is_fresh=command in FRESH)
    ended = shell.run(*command.split(), *filled(words, mill))
    assert ended.code == 0, ended.err
    assert ended.out
    assert not ended.err or command in TELLING_PROGRESS
    if "--json" in words:
        assert isinstance(json.loads(ended.out), dict)


@pytest.mark.parametrize("command", REFUSED)
def test_a_command_that_is_refused_says_why(command: str, live: LiveShell, mill: Mill) -> None:
    ended = live.run(*command.split(), *filled(REFUSED[command], mill))
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.count("\n") == 2
    assert "corr " in ended.err


def test_every_command_is_run() -> None:
    assert sorted({*COMMANDS, *REFUSED, *ELSEWHERE}) == sorted(every_leaf())


def test_every_command_that_can_print_json_is_asked_for_it(live: LiveShell) -> None:
    plain = {path for path, words in COMMANDS.items() if "--json" not in words}
    for path in sorted(plain):
        assert "--json" not in live.run(*path.split(), "--help").out
