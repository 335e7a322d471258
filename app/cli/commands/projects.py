"""`runyard projects`: register, list, show, edit and archive repositories."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from shlex import join, quote
from typing import Annotated, Any

import typer

from app.api.client import calls
from app.api.client.protocol import only_given
from app.cli.client.connection import (
    Misused,
    Refused,
    Server,
    Unreachable,
    connect,
    find_project,
    read_json,
)
from app.cli.commands.auto import print_pause
from app.cli.commands.forges import import_projects
from app.cli.commands.project_options import BaseBranch, Settings, option_of, settings_from
from app.cli.commands.trust import trust_project
from app.cli.output.options import DataDir, Json, ProjectArgument, example, group, spread
from app.cli.output.run_view import age
from app.cli.output.terminal import Painted, Piece, err, out, print_json
from app.domain.projects.checks import OnRed
from app.domain.projects.settings import PROJECT_SETTINGS
from app.domain.sandbox.levels import SandboxLevel
from app.domain.sandbox.settings import limits_words
from app.domain.text.durations import two_units

UNREACHABLE = "unreachable"
_SCP = re.compile(r"[^/\s]+:[^\s]*")
_STATE_COLOURS = {"ready": "green", "cloning": "cyan", "broken": "red", UNREACHABLE: "red"}


Origin = Annotated[
    str,
    typer.Argument(
        metavar="PATH_OR_URL", help="A git repository's folder or address.", show_default=False
    ),
]


def register(app: typer.Typer) -> None:
    """Add the group `projects`."""
    projects = group(
        "Manage projects.",
        "runyard projects list",
        "runyard projects add ~/code/shop --agent claude",
    )
    projects.command("list", epilog=example("runyard projects list"))(list_projects)
    projects.command("show", epilog=example("runyard projects show shop"))(show_project)
    add_example = example(
        "runyard projects add ~/code/shop --agent claude",
        "runyard projects add https://git.example.org/shop.git --name shop --base-branch main",
        'runyard projects add . --agent-command \'["my-agent", "--prompt", "{prompt}"]\'',
    )
    projects.command("add", epilog=add_example)(spread(add_project))
    edit_example = example(
        "runyard projects edit shop --agent codex --budget-seconds 3600",
        "runyard projects edit shop --prompt - < prompt.md",
        "runyard projects edit shop --check tests='make test' --check lint='ruff check .'",
        "runyard projects edit shop --sandbox sandboxed --network allowed --allow-host example.org",
        "runyard projects edit shop --origin ~/code/moved/shop",
    )
    projects.command("edit", epilog=edit_example)(spread(edit_project))
    try_example = example("runyard projects try-checks shop")
    projects.command("try-checks", epilog=try_example)(try_checks)
    label_example = example("runyard projects make-label shop")
    projects.command("make-label", epilog=label_example)(make_label)
    trust_example = example("runyard projects trust shop", "runyard projects trust shop --look")
    projects.command("trust", epilog=trust_example)(trust_project)
    projects.command("branches", epilog=example("runyard projects branches shop"))(list_branches)
    projects.command("archive", epilog=example("runyard projects archive shop"))(archive_project)
    import_example = example(
        "runyard projects import --forge codeberg.org --org acme",
        "runyard projects import --forge codeberg.org --agent claude acme/shop acme/site",
    )
    projects.command("import", epilog=import_example)(import_projects)
    unarchive_example = example("runyard projects unarchive shop")
    projects.command("unarchive", epilog=unarchive_example)(unarchive_project)
    app.add_typer(projects, name="projects")


def add_project(
    origin: Origin,
    name: Annotated[
        str | None, typer.Option(help="The project's name (default: the repository's).")
    ] = None,
    base_branch: BaseBranch = None,
    tracker: Annotated[str | None, option_of(PROJECT_SETTINGS["tracker"])] = None,
    *,
    settings: Settings,
    auto_enabled: Annotated[bool, option_of(PROJECT_SETTINGS["auto_enabled"])] = False,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Register a repository and print the new project's id."""
    place = whole_origin(origin)
    given: dict[str, Any] = {
        "name": name or name_of(place),
        "origin": place,
        "base_branch": base_branch,
        "tracker": tracker,
        "auto_enabled": auto_enabled or None,
        **settings_from(settings),
    }
    if settings["agent_command"] and not settings["agent"]:
        given["agent"] = "script"
    server = connect(data_dir)
    project = server.ask(calls.add_project(only_given(given)))
    if json_only:
        print_json(project)
    else:
        out().print(str(project["id"]))
        _print_remote(server, place)
        if project.get("agent_problem"):
            err().print(Painted(f"No run can start yet. {project['agent_problem']}", "yellow"))


def edit_project(
    project: ProjectArgument,
    name: Annotated[str | None, typer.Option(help="The new name.")] = None,
    base_branch: BaseBranch = None,
    origin: Annotated[
        str | None,
        typer.Option(metavar="PATH_OR_URL", help="Where the same repository is now."),
    ] = None,
    *,
    settings: Settings,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Change a project's settings; the rest stays."""
    given = {"name": name, "base_branch": base_branch, "origin": origin and whole_origin(origin)}
    change = only_given({**given, **settings_from(settings)})
    if not change:
        raise Misused("Say what to change, such as --agent, --prompt or --budget-seconds.")
    server = connect(data_dir)
    project_id = find_project(server, project)["id"]
    _print_project(server.ask(calls.change_project(project_id, change)), json_only=json_only)


def list_projects(
    archived: Annotated[
        bool, typer.Option("--archived", help="Include archived projects.")
    ] = False,
    tag: Annotated[str | None, typer.Option(help="Only projects with this tag.")] = None,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """List projects."""
    answer = connect(data_dir).ask(calls.projects(include_archived=archived, tag=tag))
    if json_only:
        print_json(answer)
        return
    if not answer["items"] and tag:
        err().print(f"No project has the tag {tag}.")
        return
    if not answer["items"]:
        err().print(
            "There are no projects yet. Register one with: runyard projects add PATH_OR_URL"
        )
        return
    header = ["PROJECT", "STATE", "BASE", "AGENT", "READY", "LIVE", "AUTO", "STRIKES"]
    out().print_table(header, [_row(one) for one in answer["items"]])


def show_project(
    project: ProjectArgument, json_only: Json = False, data_dir: DataDir = None
) -> None:
    """Show a project, its settings and its automatic runs."""
    server = connect(data_dir)
    found = server.ask(calls.project(find_project(server, project)["id"]))
    _print_project(found, json_only=json_only)


def list_branches(
    project: ProjectArgument, json_only: Json = False, data_dir: DataDir = None
) -> None:
    """List the branches of a project's origin, base first."""
    server = connect(data_dir)
    branches = server.ask(calls.branches(find_project(server, project)["id"]))
    if json_only:
        print_json(branches)
        return
    now = datetime.now(UTC)
    rows: list[list[Piece]] = [
        [str(one["name"]), "base" if one["is_base"] else "", age(one.get("updated_at"), now)]
        for one in branches["items"]
    ]
    out().print_table(["BRANCH", "", "CHANGED"], rows)


def try_checks(project: ProjectArgument, json_only: Json = False, data_dir: DataDir = None) -> None:
    """Let the loop continue after a check that could not be started."""
    server = connect(data_dir)
    answer = server.ask(calls.try_checks_again(find_project(server, project)["id"]))
    if json_only:
        print_json(answer)
    else:
        out().print(f"The checks of {answer['name']} are tried again with its next run.")


def make_label(project: ProjectArgument, json_only: Json = False, data_dir: DataDir = None) -> None:
    """Create the label ready-for-agent at the project's forge."""
    server = connect(data_dir)
    answer = server.ask(calls.make_ready_label(find_project(server, project)["id"]))
    if json_only:
        print_json(answer)
    else:
        out().print(f"The repository of {answer['name']} has the label ready-for-agent.")


def archive_project(
    project: ProjectArgument, json_only: Json = False, data_dir: DataDir = None
) -> None:
    """Archive a project; its history is kept."""
    server = connect(data_dir)
    found = find_project(server, project)
    answer = server.send(calls.archive_project(found["id"]))
    if json_only:
        print_json(read_json(answer, server.url))
    else:
        out().print(f"Archived {found['name']}.")


def unarchive_project(
    project: ProjectArgument, json_only: Json = False, data_dir: DataDir = None
) -> None:
    """Unarchive a project; auto runs are turned off."""
    server = connect(data_dir)
    found = find_project(server, project)
    answer = server.ask(calls.unarchive_project(found["id"]))
    if json_only:
        print_json(answer)
    else:
        out().print(f"{found['name']} is unarchived. Auto runs are off.")


def _print_remote(server: Server, place: str) -> None:
    if not place.startswith("/"):
        return
    try:
        remote = server.ask(calls.origin(place)).get("remote")
    except (Refused, Unreachable):
        return  # only a hint: the project exists already
    if remote:
        told = "Branches and merges go into this folder. To work on its remote instead, add"
        err().print(f"{told} {remote}")


def whole_origin(typed: str) -> str:
    """Return a folder's absolute path, or an address unchanged."""
    if "://" in typed or (_SCP.fullmatch(typed) and not Path(typed).exists()):
        return typed
    return str(Path(typed).expanduser().resolve())


def name_of(origin: str) -> str:
    """Return the repository's own name: the last part of its origin, without `.git`."""
    last = re.split(r"[/:]", origin.rstrip("/"))[-1]
    return last.removesuffix(".git") or last


def _print_project(project: dict[str, Any], *, json_only: bool) -> None:
    if json_only:
        print_json(project)
        return
    screen = out()
    screen.print(Painted(str(project["name"]), "bold"), "  ", _state(project))
    screen.print_facts(_facts(project))
    if project["paused"]:
        print_pause(screen, project)


def _facts(project: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "id", str(project["id"])
    yield "state", str(project.get("state_because") or "")
    yield "tags", ", ".join(project.get("tags") or ())
    yield "origin", str(project["origin"])
    if project.get("origin_because"):
        since = f" (since {project['origin_since']})" if project.get("origin_since") else ""
        yield "trouble", f"{project['origin_because']}{since}"
    yield "base", str(project["base_branch"])
    yield "tracker", str(project["tracker"])
    yield "agent", " ".join([str(project["agent"]), join(project.get("agent_command") or ())])
    yield "model", str(project.get("model") or "")
    problems = (project.get("agent_problem"), project.get("sandbox_problem"))
    yield "not ready", " ".join(str(one) for one in problems if one)
    yield "setup", join(project.get("setup_command") or ())
    yield "prompt", str(project.get("prompt") or "")
    yield "instructions", str(project.get("instructions") or "")
    yield from _check_lines(project)
    yield "budget", two_units(project["budget_seconds"])
    stall = project.get("stall_seconds")
    yield "stall", two_units(stall) if stall else ""
    yield "at once", str(project["max_concurrency"])
    yield "branches", str(project["branch_pattern"])
    yield from _sandbox_lines(project)
    yield "frameworks", ", ".join(project["frameworks"])
    yield "auto", "on" if project["auto_enabled"] else "off"
    ready = project.get("ready_count")
    yield "ready", "?" if ready is None else str(ready)
    yield "live", str(project["live_runs"])
    yield "parked", str(project["parked_count"] or "")
    yield "waits", str(project.get("hold") or "")


def _check_lines(project: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for one in project["checks"]:
        required = "" if one["required"] else ", not required"
        limit = two_units(one["timeout_seconds"])
        yield "check", f"{one['name']}: {join(one['command'])} (at most {limit}{required})"
    if project["checks"]:
        end = "delivered as a draft" if project["on_red"] == OnRed.DELIVER else "parked"
        yield "if red", f"{project['check_rounds']} follow-ups, then {end}"
    rules = project.get("autoland")
    if rules and rules["enabled"]:
        most = f"{rules['max_files']:,} files, {rules['max_lines']:,} lines"
        paths = " ".join(map(quote, rules["protected_paths"]))
        yield "autoland", f"at most {most}" + (f", never {paths}" if paths else "")
    if suggested := project["suggested_checks"]:
        yield "suggested", "; ".join(join(one["command"]) for one in suggested)
    if project.get("forge_hold"):
        yield "forge", project["forge_hold"]
    if project.get("checks_error"):
        again = f"after a change: projects try-checks {project['id']}"
        yield "checks", f"{project['checks_error']} ({again})"
    if project.get("trust_hold"):
        yield "trust", f"{project['trust_hold']} (projects trust {project['id']})"


def _sandbox_lines(project: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if project.get("owner_hooks") or project.get("owner_hooks_because"):
        yield "hooks", str(project.get("owner_hooks_because") or "run as they are")
    level = str(project["sandbox"])
    yield "sandbox", "none: unsandboxed" if level == SandboxLevel.NONE else level
    if project.get("sandbox_notice"):
        yield "", f"contained since an upgrade; back: projects edit {project['id']} --sandbox none"
    yield "network", str(project.get("network") or "")
    yield "hosts", " ".join(project.get("allowed_hosts") or ())
    yield "allows", " ".join(project.get("allow") or ())
    yield "toolchains", " ".join(map(quote, project.get("toolchains") or ()))
    yield "limits", limits_words(project.get("limits") or {})


def _state(project: dict[str, Any]) -> Painted:
    state = str(project.get("state", ""))
    if project.get("archived_at"):
        state = "archived"
    elif project.get("unreachable"):
        state = UNREACHABLE
    return Painted(state, _STATE_COLOURS.get(state, "dim"))


def _auto(project: dict[str, Any], auto: str) -> Piece:
    held = ["paused"] if project.get("paused") else []
    held += ["usage limit"] if project.get("usage_limit") else []
    return Painted(", ".join([auto, *held]), "yellow") if held else auto


def _agent(project: dict[str, Any]) -> Piece:
    agent = str(project.get("agent", ""))
    is_bare = project.get("sandbox") == SandboxLevel.NONE
    return Painted(f"{agent}, unsandboxed", "red") if is_bare else agent


def _row(project: dict[str, Any]) -> list[Piece]:
    ready = project.get("ready_count")
    auto, strikes = "on" if project.get("auto_enabled") else "off", project.get("strikes", 0)
    return [
        str(project.get("name", "")),
        _state(project),
        str(project.get("base_branch", "")),
        _agent(project),
        "?" if ready is None else str(ready),
        str(project.get("live_runs", 0)),
        _auto(project, auto),
        str(strikes),
    ]
