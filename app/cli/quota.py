"""`runyard quota`: how much may still be started, by a person and at once."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.cli.connection import connect
from app.cli.lookup import find_project
from app.cli.options import DataDir, Json, SomeProject, example
from app.cli.run_view import clock, spell
from app.cli.terminal import out, print_json
from app.domain.quota_rules import SET_BY, Counted, own_limit

Batches = Annotated[
    bool, typer.Option("--batches", help="Only the items of batches you may still order.")
]


def register_quota(app: typer.Typer) -> None:
    """Add the command."""
    lines = ("runyard quota", "runyard quota --batches --json", "runyard quota --project shop")
    app.command("quota", epilog=example(*lines))(show)


def show(
    project: SomeProject = None,
    batches: Batches = False,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Show how many runs you may still start.

    And how many items of batches, which have a window of their own.
    With --project: how many runs of that repository are open, of how many at once.
    """
    server = connect(data_dir)
    if project:
        project_id = find_project(server, project)["id"]
        quota = server.get("/quota/concurrency", project_id=project_id)
        told = f"{quota['active']} of {quota['max']} runs at once are open."
    elif batches:
        quota = server.get("/quota/batches")
        told = _of_batches(quota)
    else:
        quota = server.get("/quota/runs")
        told = _told(quota, "runs", "The next one comes back")
    if json_only:
        print_json(quota)
        return
    out().say(told)
    if project:
        return
    if batches:
        _say_own(Counted.BATCHES, quota)
    else:
        out().say(_of_batches(server.get("/quota/batches")))
        _say_own(Counted.RUNS, quota)


def _say_own(counted: Counted, quota: dict[str, Any]) -> None:
    whose = own_limit(counted, quota["limit"], quota["window_seconds"])
    out().say(f"{whose} ({SET_BY[counted]}).")


def _of_batches(quota: dict[str, Any]) -> str:
    return _told(quota, "items of batches", "The oldest batch leaves the window")


def _told(quota: dict[str, Any], what: str, then: str) -> str:
    window = spell(quota["window_seconds"])
    told = f"{quota['remaining']} of {quota['limit']} {what} left, in any {window}."
    return f"{told} {then} at {clock(quota['reset_at'])}." if quota.get("reset_at") else told
