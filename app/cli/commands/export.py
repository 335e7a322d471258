"""`runyard export`: a run as one file."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import IO, Annotated

import typer

from app.api.client import calls
from app.cli.client.connection import Refused, Server, connect, find_run
from app.cli.output.options import DataDir, Json, RunId, example
from app.cli.output.terminal import Painted, err, out, print_json
from app.domain.formatting import size_words

Output = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="A new file, or - for standard output (default: named after the run).",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command `export`."""
    export_example = example("runyard export 7f3k1a", "runyard export 7f3k1a -o run.zip")
    app.command("export", epilog=export_example)(export_run)


def export_run(
    run_id: RunId, output: Output = None, json_only: Json = False, data_dir: DataDir = None
) -> None:
    """Write a run's row, timeline, log and diff into a file."""
    server = connect(data_dir)
    whole_id = find_run(server, run_id)
    if output == "-":
        _copy(server, whole_id, sys.stdout.buffer)
        return
    file = Path(output or f"{whole_id}.zip").expanduser().absolute()
    size = _write(server, whole_id, file)
    if json_only:
        print_json({"run_id": whole_id, "file": str(file), "bytes": size})
    else:
        out().print(str(file))
        err().print(Painted(size_words(size), "dim"))


def _write(server: Server, run_id: str, file: Path) -> int:
    """Write a new, complete file by a temporary name; return its size in bytes."""
    if os.path.lexists(file):
        raise Refused(f"{file} is there already: give another name with -o.")
    if not file.parent.is_dir():
        raise Refused(f"There is no folder {file.parent}: make it first.")
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=".runyard-export-") as part:
        _copy(server, run_id, part)
        try:
            os.link(part.name, file)
        except FileExistsError as error:
            raise Refused(f"{file} is there already: give another name with -o.") from error
    return file.stat().st_size


def _copy(server: Server, run_id: str, into: IO[bytes]) -> None:
    with server.stream(calls.export(run_id)) as answer:
        for piece in answer.iter_bytes():
            into.write(piece)
    into.flush()
