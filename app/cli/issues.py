"""`runyard issues`: list a project's issues and write new ones."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from app.cli.connection import connect
from app.cli.lookup import find_project, project_path
from app.cli.options import DataDir, Json, ProjectName, example, group
from app.cli.terminal import Painted, Piece, err, out, print_json
from app.domain.words import READY_LABEL


def commands() -> typer.Typer:
    """The group `issues`."""
    issues = group("List a project's issues and write new ones.")
    add_example = example(
        "runyard issues add --project shop 'The cart forgets its last item' --ready",
        "runyard issues add -p shop 'Faster search' --body - < description.md",
    )
    issues.command("list", epilog=example("runyard issues list --project shop"))(list_issues)
    issues.command("add", epilog=add_example)(add_issue)
    return issues


def list_issues(
    project: ProjectName,
    everything: Annotated[bool, typer.Option("--all", help="The closed ones too.")] = False,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """List a project's issues, lowest number first."""
    server = connect(data_dir)
    answer = server.get(project_path(find_project(server, project), "/issues"))
    if json_only:
        print_json(answer)
        return
    shown = [one for one in answer["items"] if everything or one.get("state") == "open"]
    if shown:
        out().say_table(["ISSUE", "STATE", "TITLE"], [_row(one) for one in shown])
    else:
        err().say("There are no such issues.")


def add_issue(
    project: ProjectName,
    title: Annotated[str, typer.Argument(help="What is wanted, in a line.", show_default=False)],
    body: Annotated[str, typer.Option(help="The rest; - reads it from standard input.")] = "",
    label: Annotated[list[str] | None, typer.Option(help="A label; may be repeated.")] = None,
    ready: Annotated[
        bool, typer.Option("--ready", help=f"Label it {READY_LABEL}: agents may take it.")
    ] = False,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Write an issue into the built-in tracker and print its number."""
    server = connect(data_dir)
    labels = list(dict.fromkeys([*(label or []), *([READY_LABEL] if ready else [])]))
    text = sys.stdin.read() if body == "-" else body
    path = project_path(find_project(server, project), "/issues")
    issue = server.post(path, {"title": title, "body": text, "labels": labels})
    if json_only:
        print_json(issue)
    else:
        out().say(str(issue["number"]))


def _row(issue: dict[str, Any]) -> list[Piece]:
    hold = f"  ({issue['hold']})" if issue.get("hold") else ""
    return [f"#{issue['number']}", _state(issue), f"{issue['title']}{hold}"]


def _state(issue: dict[str, Any]) -> Painted:
    if issue.get("claimable"):
        return Painted("claimable", "green")
    if issue.get("state") == "closed":
        return Painted("closed", "dim")
    return Painted("ready", "yellow") if issue.get("ready") else Painted("open", "")
