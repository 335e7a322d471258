"""`runyard backup` and `runyard restore`: one file of all that cannot be recreated."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from app.cli.output.options import DataDir, Json, example
from app.cli.output.terminal import Painted, err, out, print_json
from app.domain.formatting import size_words

Backup = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="A backup, or a database copy made by an upgrade.",
        show_default=False,
    ),
]


Target = Annotated[
    Path | None,
    typer.Argument(
        metavar="[FILE]",
        help="A new file or a folder (default: backups in the data folder).",
        show_default=False,
    ),
]


def register_restore(app: typer.Typer) -> None:
    """Add the command `restore`."""
    app.command("restore", epilog=example("runyard restore /mnt/disk/runyard.zip"))(put_back)


def put_back(
    file: Backup,
    trust_settings: Annotated[
        bool, typer.Option("--trust-settings", help="Accept the settings in the backup.")
    ] = False,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Restore a backup; no server may be running.

    The backup is checked before anything is replaced. The previous data is kept in a separate
    folder; logs and working copies stay where they are. The settings in the backup are shown, and
    used only with your consent. From another server's backup the token is not used, everybody is
    signed out, and auto runs are off in every project.
    """
    from app.server.application import offline_restore

    def agree(settings: list[str]) -> bool:
        if trust_settings or not (sys.stdin.isatty() and err().is_tty):
            return trust_settings
        err().print("This backup contains settings:")
        for line in settings:
            err().print(f"  {line}")
        return typer.confirm("Take them?", err=True)

    done = offline_restore({"data_dir": data_dir} if data_dir else {}, file, agree)
    if json_only:
        print_json(done)
        return
    screen = out()
    made = f", made {done['made_at']}" if done["made_at"] else ""
    screen.print(f"Restored {done['file']} (schema {done['schema']}{made}).")
    if done["branches"]:
        screen.print(f"{done['branches']} branches of work were restored.")
    if done["aside"]:
        screen.print(f"The previous data is in {done['aside']}")
    if done["is_foreign"]:
        screen.print(
            "Not known as this folder's own: no token taken, all signed out, auto runs off."
        )
    for project_id in done["switched_off"]:
        screen.print(f"Auto was on; turn it on again: runyard afk auto {project_id} on")
    for words in done["left_out"]:
        err().print(Painted("not in it: ", "yellow"), words)
    screen.print("Start it: runyard serve")


def register(app: typer.Typer) -> None:
    """Add the command `backup`."""
    app.command("backup", epilog=example("runyard backup", "runyard backup /mnt/disk/runyard.zip"))(
        write_backup
    )


def write_backup(file: Target = None, json_only: Json = False, data_dir: DataDir = None) -> None:
    """Back up the data folder, with or without a running server.

    The backup holds the database, the token, the settings and every unmerged branch: keep it as
    safe as the token. The command prints what is not in it.
    """
    from app.server.application import offline_backup

    made = offline_backup({"data_dir": data_dir} if data_dir else {}, file)
    if json_only:
        print_json(made)
        return
    out().print(str(made["file"]))
    screen = err()
    screen.print(
        Painted(f"{size_words(made['bytes'])}, schema {made['schema']}; it holds:", "bold")
    )
    for name, size in made["parts"].items():
        screen.print(f"  {name}  {size_words(size)}")
    for words in made["left_out"]:
        screen.print(Painted("not in it: ", "yellow"), words)
