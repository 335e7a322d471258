"""`runyard quota`: how many runs may still be started, by a person and at once."""

from __future__ import annotations

import typer

from app.cli.connection import connect
from app.cli.lookup import find_project
from app.cli.options import DataDir, Json, SomeProject, example
from app.cli.run_view import clock, spell
from app.cli.terminal import out, print_json


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("quota", epilog=example("runyard quota", "runyard quota --project shop"))(show)


def show(project: SomeProject = None, json_only: Json = False, data_dir: DataDir = None) -> None:
    """Show how many runs you may still start.

    With --project: how many runs of that repository are open, of how many at once.
    """
    server = connect(data_dir)
    if project:
        project_id = find_project(server, project)["id"]
        quota = server.get("/quota/concurrency", project_id=project_id)
        told = f"{quota['active']} of {quota['max']} runs at once are open."
    else:
        quota = server.get("/quota/runs")
        window = spell(quota["window_seconds"])
        told = f"{quota['remaining']} of {quota['limit']} runs left, in any {window}."
        if quota.get("reset_at"):
            told += f" The next one comes back at {clock(quota['reset_at'])}."
    if json_only:
        print_json(quota)
    else:
        out().say(told)
