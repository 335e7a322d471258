"""`runyard afk`: start AFK runs, switch the loop, reset its pause, see what comes next."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from shlex import quote
from typing import Annotated, Any

import typer

from app.api.client import calls
from app.cli.client.connection import connect, find_project
from app.cli.commands.runs.start import Starting, start
from app.cli.output.options import DataDir, Json, ProjectArgument, example, group, spread
from app.cli.output.run_view import age
from app.cli.output.terminal import Painted, Screen, clean, cut, err, out, print_json
from app.domain.ids import shorten


class Switch(StrEnum):
    """The positions of a project's loop."""

    ON = "on"
    OFF = "off"


Position = Annotated[
    Switch,
    typer.Argument(
        metavar="on|off", help="Whether ready issues start automatically.", show_default=False
    ),
]


def register(app: typer.Typer) -> None:
    """Add the group `afk`."""
    afk = group(
        "Start AFK runs, control automatic runs, see what is next.",
        "runyard afk start shop --wait",
        "runyard afk auto shop on",
    )
    start_example = example("runyard afk start shop --wait", "runyard afk start shop --issue 12")
    afk.command("start", epilog=start_example)(spread(start_run))
    afk.command("auto", epilog=example("runyard afk auto shop on"))(switch_auto)
    afk.command("next", epilog=example("runyard afk next shop"))(show_next)
    afk.command("failures", epilog=example("runyard afk failures shop"))(show_failures)
    afk.command("reset", epilog=example("runyard afk reset shop"))(reset_strikes)
    app.add_typer(afk, name="afk")


def start_run(
    project: ProjectArgument,
    issue: Annotated[
        int | None, typer.Option(min=1, help="The issue (default: the first in the queue).")
    ] = None,
    *,
    starting: Starting,
) -> None:
    """Start an AFK run (works while paused) and print its id."""
    server = connect(starting.data_dir)
    project_id = find_project(server, project)["id"]
    start(server, partial(calls.start_afk, project_id, issue=issue), starting)


def switch_auto(
    project: ProjectArgument,
    position: Position,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Turn automatic runs on or off; a paused project stays paused."""
    server = connect(data_dir)
    project_id = find_project(server, project)["id"]
    changed = server.ask(calls.set_auto(project_id, enabled=position is Switch.ON))
    _print_loop(changed, json_only=json_only)


def reset_strikes(
    project: ProjectArgument, json_only: Json = False, data_dir: DataDir = None
) -> None:
    """Reset the failure count, which ends a pause."""
    server = connect(data_dir)
    project_id = find_project(server, project)["id"]
    _print_loop(server.ask(calls.reset(project_id)), json_only=json_only)


def show_next(project: ProjectArgument, json_only: Json = False, data_dir: DataDir = None) -> None:
    """Show what would start next, and why others wait."""
    server = connect(data_dir)
    found = find_project(server, project)
    plan = server.ask(calls.next_plan(found["id"]))
    if json_only:
        print_json(plan)
        return
    print_plan(out(), plan)
    if found["paused"]:
        print_pause(out(), found)
        out().print(_way_out(found))


def show_failures(
    project: ProjectArgument, json_only: Json = False, data_dir: DataDir = None
) -> None:
    """Show the counted failures and their reasons."""
    found = find_project(connect(data_dir), project)
    if json_only:
        print_json({"items": found["recent_failures"]})
        return
    if not found["strikes"]:
        err().print("No failures counted.")
        return
    print_failures(out(), found)
    if found["paused"]:
        out().print(_way_out(found))


def print_plan(screen: Screen, plan: dict[str, Any]) -> None:
    """Print what the loop would do, then why each issue waits, one terminal line each."""
    because = cut(clean(str(plan["because"])), screen.width)
    screen.print(Painted(because, "green" if plan["would"] else "yellow"))
    for hold in plan["holds"]:
        screen.print(cut(clean(f"  #{hold['issue']}: {hold['because']}"), screen.width))


def print_pause(screen: Screen, project: dict[str, Any]) -> None:
    """Print the pause as the project's card shows it: the count, and the last failures."""
    screen.print(Painted(f"Auto paused · {project['strikes']} fails", "red"))
    print_failures(screen, project)


def print_failures(screen: Screen, project: dict[str, Any]) -> None:
    """Print a line for each recent failure: its run, issue, label, reason and age."""
    now = datetime.now(UTC)
    for failure in project["recent_failures"]:
        issue = f"#{failure['issue']}  " if failure.get("issue") else ""
        screen.print(
            f"  {shorten(str(failure['run_id']))}  {issue}",
            Painted(str(failure["label"]), "red"),
            f"  {failure['because']}  ",
            Painted(age(failure.get("ended_at"), now), "dim"),
        )


def _print_loop(project: dict[str, Any], *, json_only: bool) -> None:
    if json_only:
        print_json(project)
        return
    screen, word = out(), "On" if project["auto_enabled"] else "Off"
    screen.print(f"{project['name']}: Auto AFK runs: {word} · {_count(project['strikes'])}")
    if project["paused"]:
        print_pause(screen, project)
        screen.print(_way_out(project))


def _way_out(project: dict[str, Any]) -> str:
    return f"Continue with: runyard afk reset {quote(str(project['name']))}"


def _count(strikes: int) -> str:
    return f"{strikes} fail in a row" if strikes == 1 else f"{strikes} fails in a row"
