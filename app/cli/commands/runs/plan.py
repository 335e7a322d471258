"""Start times on the command line, and `runyard runs move|start-now`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from app.api.client import calls
from app.cli.client.connection import connect, find_run
from app.cli.output.options import DataDir, Json, RunId, example
from app.cli.output.run_view import date_and_clock
from app.cli.output.terminal import out, print_json, status_piece
from app.domain.formatting import iso
from app.domain.ids import shorten
from app.domain.starts import moment_of, read_start
from app.domain.words import Status

HOW = "90 (seconds), 90m, 1h, 02:00, 'tomorrow 02:00' or 2026-11-23T02:00"
Delay = Annotated[
    str | None, typer.Option(metavar="WHEN", help=f"When to start it: {HOW}.", show_default=False)
]
When = Annotated[str, typer.Argument(metavar="WHEN", help=f"{HOW}.", show_default=False)]


def read_when(words: str) -> int | str:
    """Return a span in seconds or a moment in ISO 8601, read as local time. Raises BadParameter."""
    try:
        start = read_start(words)
        if isinstance(start, str):
            return iso(moment_of(start, datetime.now(UTC), None))
    except ValueError as problem:
        raise typer.BadParameter(str(problem)) from problem
    return start


def register(runs: typer.Typer) -> None:
    """Add the commands to the group `runs`."""
    runs.command("move", epilog=example("runyard runs move 7f3k1a 'tomorrow 02:00'"))(move_run)
    runs.command("start-now", epilog=example("runyard runs start-now 7f3k1a"))(start_run_now)


def move_run(run_id: RunId, when: When, json_only: Json = False, data_dir: DataDir = None) -> None:
    """Change the start time of a delayed run."""
    _plan(run_id, {"starts_at": read_when(when)}, json_only=json_only, data_dir=data_dir)


def start_run_now(run_id: RunId, json_only: Json = False, data_dir: DataDir = None) -> None:
    """Start a delayed run now."""
    _plan(run_id, {"start_now": True}, json_only=json_only, data_dir=data_dir)


def _plan(run_id: str, plan: dict[str, Any], *, json_only: bool, data_dir: Path | None) -> None:
    server = connect(data_dir)
    run = server.ask(calls.plan_run(find_run(server, run_id), plan))
    if json_only:
        print_json(run)
        return
    is_later = run["status"] == Status.DELAYED
    starts = f"  starts at {date_and_clock(run['starts_at'])}" if is_later else ""
    out().print(status_piece(run), f"  {shorten(str(run['id']))}{starts}")
