"""`runyard runs`: list, stop, deliver and release runs; starting and reading stand beside."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from app.cli import planning, reading, starting
from app.cli.connection import connect
from app.cli.lookup import find_project, find_run, run_path
from app.cli.option_sets import spread
from app.cli.options import DataDir, Json, PushAnyway, RunId, SomeProject, example, group
from app.cli.run_filters import RunFilters
from app.cli.run_view import say_end, say_runs
from app.cli.starting import Key, submit_run
from app.cli.terminal import err, out, print_json, status_piece
from app.domain.ids import shorten

Limit = Annotated[
    int | None, typer.Option(min=1, max=100, help="How many at most; 50 when not given.")
]


def register(app: typer.Typer) -> None:
    """Add the group `runs`."""
    runs = group(
        "Start, repeat, list, look at, read and stop runs.",
        "runyard runs list",
        "runyard runs trigger --project demo --agent-type claude --issue 3",
    )
    list_example = example(
        "runyard runs list --project demo --status running", "runyard runs list --phase live --json"
    )
    runs.command("list", epilog=list_example)(spread(list_runs))
    starting.register(runs)
    planning.register(runs)
    reading.register(runs)
    stop_example = example("runyard runs stop 7f3k1a --reason 'wrong issue'")
    runs.command("stop", epilog=stop_example)(stop_run)
    runs.command("deliver", epilog=example("runyard runs deliver 7f3k1a"))(deliver_run)
    runs.command("release", epilog=example("runyard runs release 7f3k1a"))(release_run)
    app.add_typer(runs, name="runs")


def list_runs(
    project: SomeProject = None,
    *,
    filters: RunFilters,
    limit: Limit = None,
    cursor: Annotated[
        str | None, typer.Option(help="Where the page before ended, as it said.")
    ] = None,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """List runs, newest first."""
    server = connect(data_dir)
    page = server.get(
        "/runs",
        project_id=find_project(server, project)["id"] if project else None,
        limit=limit,
        cursor=cursor,
        **filters.asked(),
    )
    if json_only:
        print_json(page)
        return
    if page["items"]:
        say_runs(out(), page["items"])
    else:
        err().say("There are no such runs.")
    if page.get("next_cursor"):
        err().say(f"There are more: --cursor {page['next_cursor']}")
    elif page.get("looked_among"):
        err().say(f"Searched the newest {page['looked_among']:,} runs.")


def stop_run(
    run_id: RunId,
    reason: Annotated[str | None, typer.Option(help="Why, for the run's timeline.")] = None,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Stop a run; its work is kept."""
    server = connect(data_dir)
    path = run_path(find_run(server, run_id), "/stop")
    _tell(server.post(path, {"because": reason} if reason else {}), json_only=json_only)


def deliver_run(
    run_id: RunId,
    push_anyway: PushAnyway = False,
    key: Key = None,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Deliver what an ended run has committed."""
    server = connect(data_dir)
    path = run_path(find_run(server, run_id), "/deliver")
    run, _ = submit_run(server, {"push_anyway": push_anyway or None}, key, path)
    if json_only:
        print_json(run)
    else:
        say_end(out(), run)


def release_run(run_id: RunId, json_only: Json = False, data_dir: DataDir = None) -> None:
    """Release an ended run even if its processes may still be there."""
    server = connect(data_dir)
    run = server.post(run_path(find_run(server, run_id), "/release"))
    _tell(run, json_only=json_only)


def _tell(run: dict[str, Any], *, json_only: bool) -> None:
    if json_only:
        print_json(run)
    else:
        out().say(status_piece(run), f"  {shorten(str(run['id']))}")
