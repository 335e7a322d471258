"""`runyard stuck`: what Runyard cannot go on with by itself, to list and to try again."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from app.cli.connection import connect
from app.cli.options import DataDir, Json, example, group
from app.cli.terminal import err, out, print_json


def register_stuck(app: typer.Typer) -> None:
    """Add the group `stuck`."""
    stuck = group("List what Runyard cannot go on with by itself.", "runyard stuck list")
    stuck.command("list", epilog=example("runyard stuck list"))(list_stuck)
    key = "look.run_01k7v20n00n989m471oii09ah1"
    stuck.command("retry", epilog=example(f"runyard stuck retry {key}"))(retry)
    app.add_typer(stuck, name="stuck")


def list_stuck(json_only: Json = False, data_dir: DataDir = None) -> None:
    """List what failed five times and is tried no more, oldest first."""
    held = connect(data_dir).get("/quarantine")["items"]
    if json_only:
        print_json({"items": held})
    elif held:
        rows = [[str(one["key"]), str(one["tries"]), str(one["because"])] for one in held]
        out().say_table(["WHAT", "TRIES", "BECAUSE"], rows)
    else:
        err().say("Nothing is stuck.")


def retry(
    key: Annotated[
        str, typer.Argument(metavar="WHAT", help="As `list` names it.", show_default=False)
    ],
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Let it be tried again, once the fault is fixed."""
    freed = connect(data_dir).post(f"/quarantine/{quote(key, safe='')}/retry", {})
    if json_only:
        print_json(freed)
    else:
        out().say(f"{freed['key']} is tried again.")
