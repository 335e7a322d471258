"""`runyard changes`: list, read, merge and close a project's change requests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.client.connection import Server, connect, find_project, project_path
from app.cli.commands.runs_read import print_diff
from app.cli.output.options import DataDir, Json, ProjectName, PushAnyway, example, group
from app.cli.output.run_view import size_of
from app.cli.output.terminal import Painted, Piece, err, out, print_json
from app.domain.ids import shorten

Number = Annotated[
    int,
    typer.Argument(
        metavar="NUMBER", help="The change request's number.", min=1, show_default=False
    ),
]
_STATE_COLOURS = {"open": "green", "merged": "cyan", "closed": "dim"}


def register(app: typer.Typer) -> None:
    """Add the group `changes`."""
    changes = group("List, read, merge and close change requests.", "runyard changes list -p shop")
    changes.command("list", epilog=example("runyard changes list -p shop"))(list_changes)
    changes.command("show", epilog=example("runyard changes show 4 -p shop"))(show_change)
    changes.command("diff", epilog=example("runyard changes diff 4 -p shop"))(read_diff)
    changes.command("merge", epilog=example("runyard changes merge 4 -p shop"))(merge_change)
    changes.command("close", epilog=example("runyard changes close 4 -p shop"))(close_change)
    app.add_typer(changes, name="changes")


def list_changes(
    project: ProjectName,
    everything: Annotated[
        bool, typer.Option("--all", help="The merged and closed ones too.")
    ] = False,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """List a project's change requests, newest first."""
    server = connect(data_dir)
    answer = server.get(project_path(find_project(server, project), "/changes"))
    if json_only:
        print_json(answer)
        return
    shown = [one for one in answer["items"] if everything or one.get("state") == "open"]
    if shown:
        out().print_table(
            ["CHANGE", "STATE", "BRANCH", "SIZE", "TITLE"], [_row(one) for one in shown]
        )
    else:
        err().print("There are no such change requests.")


def show_change(
    project: ProjectName, number: Number, json_only: Json = False, data_dir: DataDir = None
) -> None:
    """Show a change request."""
    server, path = _place(project, number, data_dir)
    _print_result(server.get(path), json_only=json_only)


def read_diff(project: ProjectName, number: Number, data_dir: DataDir = None) -> None:
    """Print what a change request changes, as a unified diff."""
    server, path = _place(project, number, data_dir)
    answer = server.send("GET", f"{path}/diff")
    print_diff(answer.content, is_cut=answer.headers.get("X-Diff-Truncated") == "true")


def merge_change(
    project: ProjectName,
    number: Number,
    push_anyway: PushAnyway = False,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Merge a change request, push it to origin, close its issue."""
    server, path = _place(project, number, data_dir)
    body = {"push_anyway": True} if push_anyway else {}
    _print_result(server.post(f"{path}/merge", body), json_only=json_only)


def close_change(
    project: ProjectName, number: Number, json_only: Json = False, data_dir: DataDir = None
) -> None:
    """Close a change request without merging it."""
    server, path = _place(project, number, data_dir)
    _print_result(server.post(f"{path}/close"), json_only=json_only)


def _place(project: str, number: int, data_dir: Path | None) -> tuple[Server, str]:
    server = connect(data_dir)
    return server, project_path(find_project(server, project), f"/changes/{number}")


def _print_result(change: dict[str, Any], *, json_only: bool) -> None:
    if json_only:
        print_json(change)
        return
    screen = out()
    screen.print(f"#{change['number']}  ", _state(change), f"  {change['title']}")
    screen.print(f"{change['branch']} into {change['base']}, {size_of(change)}")
    if change.get("closes"):
        screen.print(f"closes #{change['closes']}")
    if change.get("run_id"):
        screen.print(f"by run {shorten(str(change['run_id']))}")
    for line in str(change.get("body") or "").splitlines():
        screen.print(f"  {line}")


def _row(change: dict[str, Any]) -> list[Piece]:
    size = f"+{change.get('additions', 0)} -{change.get('deletions', 0)}"
    run_id = str(change.get("run_id") or "")
    branch = str(change["branch"])
    short = branch.replace(run_id, shorten(run_id)) if run_id else branch
    return [f"#{change['number']}", _state(change), short, size, str(change["title"])]


def _state(change: dict[str, Any]) -> Painted:
    state = str(change["state"])
    return Painted(state, _STATE_COLOURS.get(state, ""))
