"""`runyard backup`: one file of everything that cannot be made again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import DataDir, Json, example
from app.cli.terminal import Painted, err, out, print_json
from app.domain.sizes import size_words

Target = Annotated[
    Path | None,
    typer.Argument(
        metavar="[FILE]",
        help="A new file, or a folder; the data folder's backups when not given.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("backup", epilog=example("runyard backup", "runyard backup /mnt/disk/runyard.zip"))(
        write_backup
    )


def write_backup(file: Target = None, json_only: Json = False, data_dir: DataDir = None) -> None:
    """Write a backup of the data folder, server or not.

    It holds the database, the token, the settings and every branch that is not merged: keep it as
    you keep the token. It says what is not in it.
    """
    from app.server import offline_backup

    made = offline_backup({"data_dir": data_dir} if data_dir else {}, file)
    if json_only:
        print_json(made)
        return
    out().say(str(made["file"]))
    screen = err()
    screen.say(Painted(f"{size_words(made['bytes'])}, schema {made['schema']}; it holds:", "bold"))
    for name, size in made["parts"].items():
        screen.say(f"  {name}  {size_words(size)}")
    for words in made["left_out"]:
        screen.say(Painted("not in it: ", "yellow"), words)
