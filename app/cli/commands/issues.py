"""`runyard issues`: list, read, write, edit, close and comment on a project's issues."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from app.api.client import tracker_calls
from app.cli.client.connection import Misused, connect, find_project_id
from app.cli.commands.trust import approve_issue
from app.cli.output.options import DataDir, Json, ProjectName, example, group
from app.cli.output.terminal import Painted, Piece, err, out, print_json
from app.domain.words import READY_LABEL, Priority

Number = Annotated[
    int,
    typer.Argument(metavar="NUMBER", help="The issue's number.", min=1, show_default=False),
]
PriorityWord = Annotated[
    Priority | None,
    typer.Option(help="Urgent issues go first in the queue, low ones last."),
]
Labels = Annotated[list[str] | None, typer.Option("--label", help="A label; may be repeated.")]
Blockers = Annotated[
    list[int] | None,
    typer.Option("--blocked-by", min=1, help="An issue that it waits for; may be repeated."),
]


def register(app: typer.Typer) -> None:
    """Add the group `issues`."""
    issues = group(
        "Manage a project's issues.",
        "runyard issues list --project shop",
        "runyard issues add --project shop 'The cart forgets its last item' --ready",
    )
    add_example = example(
        "runyard issues add --project shop 'The cart forgets its last item' --ready",
        "runyard issues add -p shop 'Faster search' --body - < description.md",
    )
    issues.command("list", epilog=example("runyard issues list --project shop"))(list_issues)
    issues.command("add", epilog=add_example)(add_issue)
    issues.command("show", epilog=example("runyard issues show 12 -p shop"))(show_issue)
    edit_example = example("runyard issues edit 12 -p shop --ready --unlabel needs-info")
    issues.command("edit", epilog=edit_example)(edit_issue)
    move_example = example("runyard issues move 12 -p shop --before 3")
    issues.command("move", epilog=move_example)(move_issue)
    issues.command("close", epilog=example("runyard issues close 12 -p shop"))(close_issue)
    issues.command("reopen", epilog=example("runyard issues reopen 12 -p shop"))(reopen_issue)
    approve_example = example(
        "runyard issues approve 12 -p shop", "runyard issues approve 12 -p shop --look"
    )
    issues.command("approve", epilog=approve_example)(approve_issue)
    say_example = example("runyard issues comment 12 -p shop 'Use Decimal, please'")
    issues.command("comment", epilog=say_example)(comment_on_issue)
    app.add_typer(issues, name="issues")


def list_issues(
    project: ProjectName,
    everything: Annotated[bool, typer.Option("--all", help="Include closed issues.")] = False,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """List a project's issues, lowest number first."""
    server = connect(data_dir)
    answer = server.ask(tracker_calls.issues(find_project_id(server, project)))
    if json_only:
        print_json(answer)
        return
    shown = [one for one in answer["items"] if everything or one.get("state") == "open"]
    if shown:
        out().print_table(["ISSUE", "STATE", "TITLE", "NOTE"], [_row(one) for one in shown])
    else:
        err().print("No issues match.")


def add_issue(
    project: ProjectName,
    title: Annotated[
        str, typer.Argument(metavar="TITLE", help="The issue's title.", show_default=False)
    ],
    body: Annotated[str, typer.Option(help="The issue's text; - reads standard input.")] = "",
    label: Labels = None,
    ready: Annotated[
        bool, typer.Option("--ready", help=f"Label it {READY_LABEL}: agents may take it.")
    ] = False,
    priority: PriorityWord = None,
    blocked_by: Blockers = None,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Create an issue in the built-in tracker and print its number."""
    server = connect(data_dir)
    labels = list(dict.fromkeys([*(label or []), *([READY_LABEL] if ready else [])]))
    text = _given(body)
    project_id = find_project_id(server, project)
    new: dict[str, Any] = {"title": title, "body": text, "labels": labels}
    new |= {"priority": priority} if priority else {}
    new |= {"blocked_by": blocked_by} if blocked_by else {}
    issue = server.ask(tracker_calls.add_issue(project_id, new))
    if json_only:
        print_json(issue)
    else:
        out().print(str(issue["number"]))


def show_issue(
    project: ProjectName, number: Number, json_only: Json = False, data_dir: DataDir = None
) -> None:
    """Show an issue and its comments."""
    server = connect(data_dir)
    project_id = find_project_id(server, project)
    issue = server.ask(tracker_calls.issue(project_id, number))
    if json_only:
        print_json(issue)
        return
    said = server.ask(tracker_calls.comments(project_id, number))["items"]
    out().print(f"#{issue['number']}  ", _state(issue), f"  {issue['title']}")
    facts = (
        ("labels", ", ".join(issue["labels"])),
        ("priority", issue.get("priority")),
        ("blocked by", ", ".join(f"#{one}" for one in issue.get("blocked_by") or ())),
        ("waits", issue.get("hold")),
        ("note", "; ".join(_notes(issue))),
    )
    for name, value in facts:
        if value:
            out().print(f"{name}: {value}")
    _print_text(issue["body"])
    for comment in said:
        out().print("")
        by = f"{comment['author']} (agent)" if comment.get("run_id") else comment["author"]
        out().print(f"{by}, {comment['created_at']}:")
        _print_text(comment["body"])


def edit_issue(
    project: ProjectName,
    number: Number,
    title: Annotated[str | None, typer.Option(help="The new title.", show_default=False)] = None,
    body: Annotated[str | None, typer.Option(help="The new text; - reads standard input.")] = None,
    label: Labels = None,
    unlabel: Annotated[
        list[str] | None, typer.Option("--unlabel", help="A label to remove.")
    ] = None,
    ready: Annotated[
        bool | None,
        typer.Option("--ready/--not-ready", help=f"Label it {READY_LABEL}, or no longer."),
    ] = None,
    priority: PriorityWord = None,
    blocked_by: Blockers = None,
    not_blocked_by: Annotated[
        list[int] | None,
        typer.Option(min=1, help="An issue that it no longer waits for; may be repeated."),
    ] = None,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Change an issue's title, text, labels, priority or blockers."""
    given = {"title": title, "body": body, "priority": priority}
    sets = label, unlabel, ready, blocked_by, not_blocked_by
    if all(one is None for one in (*given.values(), *sets)):
        options = "--title, --body, --label, --unlabel, --ready, --priority, --blocked-by"
        raise Misused(f"Say what to change: {options}.")
    server = connect(data_dir)
    project_id = find_project_id(server, project)
    given["body"] = None if body is None else _given(body)
    change: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if any(one is not None for one in sets):
        stands = server.ask(tracker_calls.issue(project_id, number))
        labels = None if label is unlabel is ready is None else (label, unlabel, ready)
        change |= _with_was(stands, labels, (blocked_by or [], not_blocked_by or []))
    changed = server.ask(tracker_calls.change_issue(project_id, number, **change))
    _print_changed(changed, json_only=json_only)


def move_issue(
    project: ProjectName,
    number: Number,
    before: Annotated[
        int | None,
        typer.Option(min=1, help="The issue that comes next after it.", show_default=False),
    ] = None,
    after: Annotated[
        int | None,
        typer.Option(min=1, help="The issue that comes right before it.", show_default=False),
    ] = None,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Move an issue in the queue; it takes the other's priority."""
    if (before is None) == (after is None):
        raise Misused("Name one issue, with --before or --after.")
    place = {"after": after} if before is None else {"before": before}
    server = connect(data_dir)
    project_id = find_project_id(server, project)
    changed = server.ask(tracker_calls.change_issue(project_id, number, **place))
    _print_changed(changed, json_only=json_only)


def close_issue(
    project: ProjectName, number: Number, json_only: Json = False, data_dir: DataDir = None
) -> None:
    """Close an issue."""
    _turn(project, number, "closed", data_dir, json_only=json_only)


def reopen_issue(
    project: ProjectName, number: Number, json_only: Json = False, data_dir: DataDir = None
) -> None:
    """Reopen an issue."""
    _turn(project, number, "open", data_dir, json_only=json_only)


def comment_on_issue(
    project: ProjectName,
    number: Number,
    text: Annotated[
        str,
        typer.Argument(
            metavar="TEXT", help="The comment; - reads standard input.", show_default=False
        ),
    ],
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Comment on an issue."""
    server = connect(data_dir)
    project_id = find_project_id(server, project)
    said = server.ask(tracker_calls.comment(project_id, number, _given(text)))
    if json_only:
        print_json(said)
    else:
        out().print(f"Commented on #{number}.")


def _turn(project: str, number: int, state: str, data_dir: Path | None, *, json_only: bool) -> None:
    server = connect(data_dir)
    project_id = find_project_id(server, project)
    changed = server.ask(tracker_calls.change_issue(project_id, number, state=state))
    _print_changed(changed, json_only=json_only)


def _print_changed(issue: dict[str, Any], *, json_only: bool) -> None:
    if json_only:
        print_json(issue)
    else:
        out().print_table(["ISSUE", "STATE", "TITLE", "NOTE"], [_row(issue)])


def _with_was(
    stands: dict[str, Any],
    labels: tuple[list[str] | None, list[str] | None, bool | None] | None,
    blockers: tuple[list[int], list[int]],
) -> dict[str, Any]:
    """Return labels and blockers after an edit; the server refuses if they changed in between."""
    found: dict[str, Any] = {"was": {}}
    if labels is not None:
        found["labels"] = _labels(list(stands["labels"]), *labels)
        found["was"]["labels"] = stands["labels"]
    added, gone = blockers
    if added or gone:
        wanted = dict.fromkeys([*stands["blocked_by"], *added])
        found["blocked_by"] = [one for one in wanted if one not in gone]
        found["was"]["body"] = stands["body"]
    return found


def _labels(
    before: list[str], added: list[str] | None, removed: list[str] | None, ready: bool | None
) -> list[str]:
    gone = {*(removed or []), *([READY_LABEL] if ready is False else [])}
    wanted = [*before, *(added or []), *([READY_LABEL] if ready else [])]
    return list(dict.fromkeys(label for label in wanted if label not in gone))


def _given(text: str) -> str:
    return sys.stdin.read() if text == "-" else text


def _print_text(text: str) -> None:
    for line in text.splitlines():
        out().print(f"  {line}")


def _notes(issue: dict[str, Any]) -> list[str]:
    found: list[str] = issue.get("notes") or []
    return found


def _row(issue: dict[str, Any]) -> list[Piece]:
    notes = [_turn_words(issue), issue.get("hold"), *_notes(issue)]
    waits = "; ".join(filter(None, notes))
    return [f"#{issue['number']}", _state(issue), str(issue["title"]), waits]


def _turn_words(issue: dict[str, Any]) -> str:
    priority = issue.get("priority") or Priority.NORMAL
    return "" if priority == Priority.NORMAL else f"{priority} priority"


def _state(issue: dict[str, Any]) -> Painted:
    if issue.get("claimable"):
        return Painted("claimable", "green")
    if issue.get("state") == "closed":
        return Painted("closed", "dim")
    return Painted("ready", "yellow") if issue.get("ready") else Painted("open", "")
