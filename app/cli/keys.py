"""`runyard keys`: idempotency keys, to take them back from their runs."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from app.cli.connection import connect
from app.cli.lookup import find_project
from app.cli.options import DataDir, Json, ProjectName, example, group
from app.cli.terminal import out, print_json
from app.domain.ids import shorten


def register_keys(app: typer.Typer) -> None:
    """Add the group `keys`."""
    reset_example = "runyard keys reset nightly-42 --project shop"
    keys = group("Take idempotency keys back from their runs.", reset_example)
    keys.command("reset", epilog=example(reset_example))(reset_key)
    app.add_typer(keys, name="keys")


def reset_key(
    project: ProjectName,
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="The key, as it was given.", show_default=False)
    ],
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Free a key: its next use starts a new run, the old one goes on."""
    server = connect(data_dir)
    body = {"project_id": find_project(server, project)["id"]}
    freed = server.post(f"/idempotency-keys/{quote(key, safe='')}/reset", body)
    if json_only:
        print_json(freed)
    else:
        out().say(f"The key is free again; it had started {shorten(str(freed['run_id']))}.")
