"""`runyard restore`: a data folder of a backup, and nothing of what was there before lost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import DataDir, Json, example
from app.cli.terminal import Painted, err, out, print_json

Backup = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="A backup, or a copy of the database that an upgrade has made.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("restore", epilog=example("runyard restore /mnt/disk/runyard.zip"))(put_back)


def put_back(file: Backup, json_only: Json = False, data_dir: DataDir = None) -> None:
    """Put a backup back; no server may run.

    The backup is checked before anything is replaced. What was there is kept in a folder of its
    own; logs and working copies stay where they are.
    """
    from app.server import offline_restore

    done = offline_restore({"data_dir": data_dir} if data_dir else {}, file)
    if json_only:
        print_json(done)
        return
    screen = out()
    made = f", made {done['made_at']}" if done["made_at"] else ""
    screen.say(f"Restored {done['file']} (schema {done['schema']}{made}).")
    if done["branches"]:
        screen.say(f"{done['branches']} branches of work were put back.")
    if done["aside"]:
        screen.say(f"What was there before: {done['aside']}")
    for words in done["left_out"]:
        err().say(Painted("not in it: ", "yellow"), words)
    screen.say("Start it: runyard serve")
