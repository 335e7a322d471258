"""`runyard parked`: list and discard the work that ended runs left."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.api.client import calls
from app.cli.client.connection import connect, find_project
from app.cli.output.options import DataDir, Json, ProjectName, SomeProject, example, group
from app.cli.output.terminal import Piece, err, out, print_json
from app.domain.formatting import size_words
from app.domain.ids import shorten
from app.domain.text.durations import two_units


def register(app: typer.Typer) -> None:
    """Add the group `parked`."""
    parked = group("List and discard unmerged work of ended runs.", "runyard parked list")
    parked.command("list", epilog=example("runyard parked list --project shop"))(list_parked)
    discard_example = example("runyard parked discard afk/3 --project shop --confirm afk/3")
    parked.command("discard", epilog=discard_example)(discard)
    app.add_typer(parked, name="parked")


def list_parked(
    project: SomeProject = None, json_only: Json = False, data_dir: DataDir = None
) -> None:
    """List parked work, oldest first."""
    server = connect(data_dir)
    kept = server.ask(calls.parked())["items"]
    if project:
        project_id = find_project(server, project)["id"]
        kept = [one for one in kept if one["project_id"] == project_id]
    if json_only:
        print_json({"items": kept})
    elif kept:
        header = ["BRANCH", "PROJECT", "RUN", "KEPT FOR", "SIZE", "HOLDS", "BECAUSE"]
        out().print_table(header, [_row(one) for one in kept])
    else:
        err().print("Nothing is parked.")


def discard(
    project: ProjectName,
    branch: Annotated[
        str, typer.Argument(metavar="BRANCH", help="The parked branch.", show_default=False)
    ],
    confirm: Annotated[
        str | None,
        typer.Option(help="The branch again, to confirm that its work is deleted."),
    ] = None,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Delete a parked branch with its copies; its issue is ready again."""
    server = connect(data_dir)
    project_id = find_project(server, project)["id"]
    discarded = server.ask(calls.discard(project_id, branch, confirm))
    if json_only:
        print_json(discarded)
    else:
        out().print(f"Discarded {discarded['branch']}.")


def _row(kept: dict[str, Any]) -> list[Piece]:
    run_id = str(kept["run_id"])
    return [
        str(kept["branch"]).replace(run_id, shorten(run_id)),
        str(kept["project_name"]),
        shorten(run_id),
        two_units(kept["age_seconds"]),
        size_words(kept.get("bytes")),
        str(kept["holds"]),
        str(kept["because"]),
    ]
