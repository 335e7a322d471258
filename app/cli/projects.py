"""`runyard projects`: register, list and archive repositories."""

from __future__ import annotations

import json
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.connection import Misused, connect, read_json
from app.cli.lookup import find_project, project_path
from app.cli.options import DataDir, Json, ProjectArgument, example, group
from app.cli.terminal import Painted, Piece, err, out, print_json

_SCP = re.compile(r"[^/\s]+:[^\s]*")
_STATE_COLOURS = {"ready": "green", "cloning": "cyan", "broken": "red"}


class Tracker(StrEnum):
    """Who keeps a project's issues."""

    BUILTIN = "builtin"
    FORGEJO = "forgejo"
    GITHUB = "github"


class Sandbox(StrEnum):
    """What surrounds a project's agents."""

    NONE = "none"
    BUBBLEWRAP = "bubblewrap"


Origin = Annotated[
    str,
    typer.Argument(
        metavar="PATH_OR_URL", help="A git repository's folder or address.", show_default=False
    ),
]
Name = Annotated[str | None, typer.Option(help="Its name; the repository's own when not given.")]
BaseBranch = Annotated[
    str | None, typer.Option(help="Where work starts; what origin's HEAD names by default.")
]
AgentCommand = Annotated[
    list[str] | None,
    typer.Option(help="The script agent's command: one word each time, or one JSON list."),
]
SetupCommand = Annotated[
    list[str] | None,
    typer.Option(help="Run before the agent: one word each time, or one JSON list."),
]
BudgetSeconds = Annotated[
    int | None, typer.Option(min=1, help="How long a run may take; 7200 by default.")
]
StallSeconds = Annotated[int | None, typer.Option(min=1, help="How long a run may stay silent.")]
MaxConcurrency = Annotated[int | None, typer.Option(min=1, max=100, help="How many runs at once.")]


def commands() -> typer.Typer:
    """The group `projects`."""
    projects = group("Register, list and archive repositories.")
    add_example = example(
        "runyard projects add ~/code/shop --agent claude",
        "runyard projects add https://git.example.org/shop.git --name shop --base-branch main",
        'runyard projects add . --agent-command \'["my-agent", "--prompt", "{prompt}"]\'',
    )
    projects.command("add", epilog=add_example)(add_project)
    projects.command("list", epilog=example("runyard projects list"))(list_projects)
    projects.command("archive", epilog=example("runyard projects archive shop"))(archive_project)
    return projects


def add_project(
    origin: Origin,
    name: Name = None,
    base_branch: BaseBranch = None,
    tracker: Annotated[Tracker | None, typer.Option(help="Who keeps its issues.")] = None,
    agent: Annotated[str | None, typer.Option(help="An agent preset, or script.")] = None,
    agent_command: AgentCommand = None,
    setup_command: SetupCommand = None,
    budget_seconds: BudgetSeconds = None,
    stall_seconds: StallSeconds = None,
    max_concurrency: MaxConcurrency = None,
    sandbox: Annotated[Sandbox | None, typer.Option(help="What surrounds the agent.")] = None,
    auto: Annotated[bool, typer.Option("--auto", help="Start runs for ready issues.")] = False,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Register a repository and print the new project's id."""
    command = read_argv("--agent-command", agent_command)
    place = whole_origin(origin)
    settings = {
        "name": name or name_of(place),
        "origin": place,
        "base_branch": base_branch,
        "tracker": tracker,
        "agent": agent or ("script" if command else None),
        "agent_command": command,
        "setup_command": read_argv("--setup-command", setup_command),
        "budget_seconds": budget_seconds,
        "stall_seconds": stall_seconds,
        "max_concurrency": max_concurrency,
        "sandbox": sandbox,
        "auto_enabled": auto or None,
    }
    given = {field: value for field, value in settings.items() if value is not None}
    project = connect(data_dir).post("/projects", given)
    if json_only:
        print_json(project)
    else:
        out().say(str(project["id"]))


def list_projects(
    archived: Annotated[bool, typer.Option("--archived", help="The archived ones too.")] = False,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """List projects."""
    answer = connect(data_dir).get("/projects")
    if json_only:
        print_json(answer)
        return
    shown = [one for one in answer["items"] if archived or not one.get("archived_at")]
    if not shown:
        err().say("There are no projects yet. Register one with: runyard projects add PATH_OR_URL")
        return
    header = ["PROJECT", "STATE", "BASE", "AGENT", "READY", "LIVE", "AUTO", "STRIKES", "ID"]
    out().say_table(header, [_row(one) for one in shown])


def archive_project(
    project: ProjectArgument, json_only: Json = False, data_dir: DataDir = None
) -> None:
    """Archive a project; its history stays."""
    server = connect(data_dir)
    found = find_project(server, project)
    answer = server.send("DELETE", project_path(found))
    if json_only:
        print_json(read_json(answer, server.url))
    else:
        out().say(f"Archived {found['name']}.")


def whole_origin(typed: str) -> str:
    """A folder's absolute path; an address as it is."""
    if "://" in typed or (_SCP.fullmatch(typed) and not Path(typed).exists()):
        return typed
    return str(Path(typed).expanduser().resolve())


def name_of(origin: str) -> str:
    """The repository's own name: the last part of its origin, without `.git`."""
    last = re.split(r"[/:]", origin.rstrip("/"))[-1]
    return last.removesuffix(".git") or last


def read_argv(option: str, given: list[str] | None) -> list[str] | None:
    """A command out of repeated words or of one JSON list. Raises Misused."""
    if not given:
        return None
    if len(given) > 1 or not given[0].startswith("["):
        return given
    try:
        argv = json.loads(given[0])
    except ValueError:
        argv = None
    if not isinstance(argv, list) or not argv or not all(isinstance(one, str) for one in argv):
        raise Misused(f'{option} takes a JSON list of words, such as ["my-agent", "{{prompt}}"].')
    return argv


def _row(project: dict[str, Any]) -> list[Piece]:
    state = "archived" if project.get("archived_at") else str(project.get("state", ""))
    ready = project.get("ready_count")
    auto, strikes = "on" if project.get("auto_enabled") else "off", project.get("strikes", 0)
    return [
        str(project.get("name", "")),
        Painted(state, _STATE_COLOURS.get(state, "dim")),
        str(project.get("base_branch", "")),
        str(project.get("agent", "")),
        "?" if ready is None else str(ready),
        str(project.get("live_runs", 0)),
        Painted(f"{auto}, paused", "yellow") if project.get("paused") else auto,
        str(strikes),
        Painted(str(project.get("id", "")), "dim"),
    ]
