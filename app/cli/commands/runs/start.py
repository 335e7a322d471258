"""`runyard runs trigger|retry|resume|wait`: start a run, and follow one to its end."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Annotated, Any

import typer

from app.api.client import calls, prompt_calls
from app.api.client.protocol import Call, only_given
from app.cli.client.connection import (
    Server,
    Unreachable,
    connect,
    find_project,
    find_run,
    read_json,
)
from app.cli.commands.runs.plan import Delay, read_when
from app.cli.output.options import DataDir, Json, ProjectName, RunId, example, spread
from app.cli.output.progress import wait_for_run
from app.cli.output.run_view import print_end
from app.cli.output.terminal import err, out, print_json
from app.domain.ids import shorten
from app.domain.words import Delivers, Depth, Status

NOT_SUCCEEDED = 4

Key = Annotated[str | None, typer.Option(help="The idempotency key (default: a new UUID).")]
Wait = Annotated[
    bool, typer.Option("--wait", help="Follow the run to its end; exit 4 if it fails.")
]
Issue = Annotated[int | None, typer.Option(min=1, help="The issue to resolve.")]
Task = Annotated[str | None, typer.Option(help="The task; - reads standard input.")]
Template = Annotated[
    str | None, typer.Option(help="The template of its prompt: a name, or name@version.")
]
PrNumber = Annotated[
    int | None, typer.Option(min=1, help="The open change request whose branch to work on.")
]
Preview = Annotated[
    bool, typer.Option("--preview", help="Only print the prompt that the agent would get.")
]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="A tag; may be repeated.")]
Ttl = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Seconds the run may wait in the queue, from its start time, before it expires.",
    ),
]


@dataclass(frozen=True)
class Starting:
    """The options of every command that starts a run."""

    key: Key = None
    wait: Wait = False
    json_only: Json = False
    data_dir: DataDir = None


class Source(StrEnum):
    """The start of a retry: the work that the run left, or a new branch from the base."""

    PARKED = "parked"
    FRESH = "fresh"


def register(runs: typer.Typer) -> None:
    """Add the commands to the group `runs`."""
    trigger_example = example(
        "runyard runs trigger --project demo --agent-type claude --issue 3 --wait",
        "runyard runs trigger --project demo --agent-type script --task 'Tidy the README'",
        "runyard runs trigger --project demo --agent-type claude --delay 'tomorrow 02:00'",
        "runyard runs trigger --project demo --agent-type claude --issue 3 --preview",
    )
    runs.command("trigger", epilog=trigger_example)(spread(trigger_run))
    retry_example = example(
        "runyard runs retry 7f3k1a --model opus", "runyard runs retry 7f3k1a --from fresh --wait"
    )
    runs.command("retry", epilog=retry_example)(spread(retry_run))
    resume_example = example("runyard runs resume 7f3k1a", "runyard runs resume 7f3k1a --wait")
    runs.command("resume", epilog=resume_example)(spread(resume_run))
    runs.command("wait", epilog=example("runyard runs wait 7f3k1a"))(wait_run)


def trigger_run(
    project: ProjectName,
    agent_type: Annotated[
        str, typer.Option("--agent-type", help="An agent preset, or script.", show_default=False)
    ],
    issue: Issue = None,
    branch: Annotated[str | None, typer.Option(help="The branch to start from.")] = None,
    depth_level: Annotated[Depth | None, typer.Option(help="How thoroughly to work.")] = None,
    target_framework: Annotated[str | None, typer.Option(help="The test framework.")] = None,
    model: Annotated[str | None, typer.Option(help="The agent's model.")] = None,
    task: Task = None,
    template: Template = None,
    delivers: Annotated[
        Delivers | None, typer.Option(help="What counts as success: a change, or a report alone.")
    ] = None,
    delay: Delay = None,
    ttl: Ttl = None,
    tag: Tags = None,
    preview: Preview = False,
    pr_number: PrNumber = None,
    *,
    starting: Starting,
) -> None:
    """Start a run and print its id."""
    server = connect(starting.data_dir)
    order = {
        "project_id": find_project(server, project)["id"],
        "agent": agent_type,
        "issue": issue,
        "pr_number": pr_number,
        "branch": branch,
        "depth_level": depth_level,
        "target_framework": target_framework,
        "model": model,
        "task": sys.stdin.read() if task == "-" else task,
        "template": template,
        "delivers": delivers,
        "delay": None if delay is None else read_when(delay),
        "ttl": ttl,
        "tags": tag or None,
    }
    if preview:
        _print_preview(server, only_given(order), json_only=starting.json_only)
        return
    start(server, partial(calls.start_run, only_given(order)), starting)


def _print_preview(server: Server, order: dict[str, Any], *, json_only: bool) -> None:
    made = server.ask(prompt_calls.preview(order))
    if json_only:
        print_json(made)
    elif sys.stdout.isatty():
        out().print_lines(str(made["text"]))
    else:
        sys.stdout.write(str(made["text"]))
    if made["template"]:
        err().print(f"By the template {made['template']}@{made['version']}.")


def retry_run(
    run_id: RunId,
    agent_type: Annotated[
        str | None, typer.Option("--agent-type", help="A different agent.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="A different model.")] = None,
    task: Annotated[
        str | None, typer.Option(help="A different task; - reads standard input.")
    ] = None,
    template: Annotated[
        str | None, typer.Option(help="A different template: a name, or name@version.")
    ] = None,
    branch: Annotated[str | None, typer.Option(help="A different branch to start from.")] = None,
    source: Annotated[
        Source | None,
        typer.Option(
            "--from",
            help="Continue from kept work or start fresh (default: continue where possible).",
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Retry even while another retry of it is open.")
    ] = False,
    *,
    starting: Starting,
) -> None:
    """Retry a run as a new run and print the new id."""
    server = connect(starting.data_dir)
    wishes = {
        "agent": agent_type,
        "model": model,
        "task": sys.stdin.read() if task == "-" else task,
        "template": template,
        "branch": branch,
        "from": source,
        "again": again or None,
    }
    start(server, partial(calls.retry, find_run(server, run_id), **wishes), starting)


def resume_run(run_id: RunId, *, starting: Starting) -> None:
    """Resume a run after a usage limit and print the new id."""
    server = connect(starting.data_dir)
    start(server, partial(calls.resume, find_run(server, run_id)), starting)


def wait_run(run_id: RunId, json_only: Json = False, data_dir: DataDir = None) -> None:
    """Follow a run to its end; exit 4 if it does not succeed."""
    server = connect(data_dir)
    _print_end(_wait(server, find_run(server, run_id)), json_only=json_only)


def start(server: Server, describe: Callable[..., Call[Any]], starting: Starting) -> None:
    """Start a run and print it; with `wait`, follow it to its end and exit 4 if it failed."""
    run, replayed = submit_run(server, describe, starting.key)
    if replayed:
        err().print("This key already started this run; no second run was started.")
    if not starting.json_only:
        out().print(str(run["id"]))
    if starting.wait:
        _print_end(_wait(server, str(run["id"])), json_only=starting.json_only)
    elif starting.json_only:
        print_json(run)


def submit_run(
    server: Server, describe: Callable[..., Call[Any]], key: str | None
) -> tuple[dict[str, Any], bool]:
    """Submit a run; if the answer is lost, submit it once more under the same key.

    `describe` returns the call for the key it is given; without one, a key is made. Returns the
    run, and True if the key had started it before. Raises Refused, Unreachable.
    """
    call, was_lost = describe(key=key or str(uuid.uuid4())), False
    try:
        answer = server.send(call)
    except Unreachable as problem:
        if not problem.delivered:
            raise
        was_lost = True
        answer = server.send(call)
    replayed = answer.headers.get("Idempotency-Replayed") == "true"
    return read_json(answer, server.url), replayed and not was_lost


def _wait(server: Server, run_id: str) -> dict[str, Any]:
    try:
        return wait_for_run(server, run_id, err())
    except KeyboardInterrupt:
        short = shorten(run_id).removeprefix("…")
        err().print("The run continues.")
        err().print(f"Follow it again: runyard runs wait {short}")
        err().print(f"Stop it:         runyard runs stop {short}")
        raise


def _print_end(run: dict[str, Any], *, json_only: bool) -> None:
    if json_only:
        print_json(run)
    else:
        print_end(out(), run)
    if run["status"] != Status.SUCCEEDED:
        raise typer.Exit(NOT_SUCCEEDED)
