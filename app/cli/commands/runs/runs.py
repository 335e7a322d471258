"""`runyard runs`: list, stop, deliver and release; the rest is in the other runs_* modules."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any

import typer

from app.api.client import calls
from app.cli.client.connection import connect, find_project, find_run
from app.cli.commands.runs import plan, read, start
from app.cli.commands.runs.start import Key, submit_run
from app.cli.output.options import (
    DataDir,
    Json,
    PushAnyway,
    RunId,
    SomeProject,
    example,
    group,
    spread,
)
from app.cli.output.run_view import print_end, print_runs
from app.cli.output.terminal import err, out, print_json, status_piece
from app.domain.ids import shorten
from app.domain.words import Depth, Phase, Status, Trigger

# a moment without a zone is local time
_MOMENTS = [
    "%Y-%m-%d",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%S%z",
    "%Y-%m-%dT%H:%M:%S.%f%z",
]


Limit = Annotated[
    int | None, typer.Option(min=1, max=100, help="How many runs to list at most (default 50).")
]


def _moment(words: str) -> typer.models.OptionInfo:
    return typer.Option(
        formats=_MOMENTS, metavar="WHEN", help=f"{words}: 2026-11-22, 2026-11-22T18:30 or with Z."
    )


@dataclass(frozen=True)
class RunFilters:
    """The filters of `runs list`."""

    status: Annotated[
        list[Status] | None,
        typer.Option(
            metavar="STATUS",
            help=f"Only runs with this status; may be repeated: {', '.join(Status)}.",
        ),
    ] = None
    phase: Annotated[Phase | None, typer.Option(help="Only runs in this phase.")] = None
    trigger: Annotated[Trigger | None, typer.Option(help="Only runs started this way.")] = None
    branch: Annotated[str | None, typer.Option(help="Only runs of this branch.")] = None
    issue: Annotated[int | None, typer.Option(min=1, help="Only runs of this issue.")] = None
    depth_level: Annotated[Depth | None, typer.Option(help="Only this depth.")] = None
    target_framework: Annotated[str | None, typer.Option(help="Only this framework.")] = None
    agent: Annotated[str | None, typer.Option(help="Only runs of this agent.")] = None
    tag: Annotated[str | None, typer.Option(help="Only runs with this tag.")] = None
    batch_id: Annotated[
        str | None, typer.Option("--batch", metavar="BATCH_ID", help="Only runs of this batch.")
    ] = None
    created_after: Annotated[datetime | None, _moment("Only runs created after this time")] = None
    created_before: Annotated[datetime | None, _moment("Only runs created before this time")] = None
    q: Annotated[
        str | None,
        typer.Option("--search", "-q", help="An issue, a branch, or part of an id, title or tag."),
    ] = None

    def asked(self) -> dict[str, Any]:
        """Return the query of `GET /runs`, without filters that are not set."""
        words = {name: value for name, value in asdict(self).items() if value not in (None, [])}
        for name in ("created_after", "created_before"):
            if name in words:
                words[name] = words[name].astimezone().isoformat()
        return words


def register(app: typer.Typer) -> None:
    """Add the group `runs`."""
    runs = group(
        "Manage runs.",
        "runyard runs list",
        "runyard runs trigger --project demo --agent-type claude --issue 3",
    )
    list_example = example(
        "runyard runs list --project demo --status running", "runyard runs list --phase live --json"
    )
    runs.command("list", epilog=list_example)(spread(list_runs))
    start.register(runs)
    plan.register(runs)
    read.register(runs)
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
        str | None, typer.Option(help="The cursor that the previous page printed.")
    ] = None,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """List runs, newest first."""
    server = connect(data_dir)
    listed = calls.runs(
        project_id=find_project(server, project)["id"] if project else None,
        limit=limit,
        cursor=cursor,
        **filters.asked(),
    )
    page = server.ask(listed)
    if json_only:
        print_json(page)
        return
    if page["items"]:
        print_runs(out(), page["items"])
    else:
        err().print("No runs match.")
    if page.get("next_cursor"):
        err().print(f"More: --cursor {page['next_cursor']}")
    elif page.get("looked_among"):
        err().print(f"Searched the newest {page['looked_among']:,} runs.")


def stop_run(
    run_id: RunId,
    reason: Annotated[str | None, typer.Option(help="The reason, for the run's timeline.")] = None,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Stop a run; its work is kept."""
    server = connect(data_dir)
    stopped = server.ask(calls.stop(find_run(server, run_id), reason or None))
    _print_result(stopped, json_only=json_only)


def deliver_run(
    run_id: RunId,
    push_anyway: PushAnyway = False,
    key: Key = None,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Deliver the commits of an ended run."""
    server = connect(data_dir)
    deliver = partial(calls.deliver, find_run(server, run_id), push_anyway=push_anyway)
    run, _ = submit_run(server, deliver, key)
    if json_only:
        print_json(run)
    else:
        print_end(out(), run)


def release_run(run_id: RunId, json_only: Json = False, data_dir: DataDir = None) -> None:
    """Release an ended run whose processes may still be alive."""
    server = connect(data_dir)
    run = server.ask(calls.release(find_run(server, run_id)))
    _print_result(run, json_only=json_only)


def _print_result(run: dict[str, Any], *, json_only: bool) -> None:
    if json_only:
        print_json(run)
    else:
        out().print(status_piece(run), f"  {shorten(str(run['id']))}")
