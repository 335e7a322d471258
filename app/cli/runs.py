"""`runyard runs`: start, repeat, list, look at, read and stop runs."""

from __future__ import annotations

import sys
import uuid
from enum import StrEnum
from typing import Annotated

import typer

from app.cli.connection import Server, Unreachable, connect, read_json
from app.cli.feed import follow_run
from app.cli.log_filter import LogFilter
from app.cli.lookup import find_project, find_run, run_path
from app.cli.options import DataDir, Json, ProjectName, RunId, example, group
from app.cli.progress import wait_for_run
from app.cli.run_view import say_end, say_run, say_runs, say_timeline
from app.cli.terminal import err, is_colourful, out, print_json, status_piece
from app.domain.ids import shorten
from app.domain.words import Depth, Status

NOT_SUCCEEDED = 4
LOG_PIECE_BYTES = 256 * 1024

AgentType = Annotated[
    str, typer.Option("--agent-type", help="An agent preset, or script.", show_default=False)
]
Key = Annotated[str | None, typer.Option(help="The idempotency key; a fresh UUID when not given.")]
Wait = Annotated[
    bool, typer.Option("--wait", help="Follow the run to its end; exit 4 if it fails.")
]


class Source(StrEnum):
    """What a retry works on: what the run left, or a new branch from the base."""

    PARKED = "parked"
    FRESH = "fresh"


def commands() -> typer.Typer:
    """The group `runs`."""
    runs = group("Start, repeat, list, look at, read and stop runs.")
    trigger_example = example(
        "runyard runs trigger --project demo --agent-type claude --issue 3 --wait",
        "runyard runs trigger --project demo --agent-type script --task 'Tidy the README'",
    )
    runs.command("trigger", epilog=trigger_example)(trigger_run)
    retry_example = example(
        "runyard runs retry 7f3k1a --model opus", "runyard runs retry 7f3k1a --from fresh --wait"
    )
    runs.command("retry", epilog=retry_example)(retry_run)
    runs.command("list", epilog=example("runyard runs list --project demo --status running"))(
        list_runs
    )
    runs.command("show", epilog=example("runyard runs show …7f3k1a"))(show_run)
    runs.command("logs", epilog=example("runyard runs logs 7f3k1a --follow"))(read_log)
    runs.command("stop", epilog=example("runyard runs stop 7f3k1a --reason 'wrong issue'"))(
        stop_run
    )
    return runs


def trigger_run(
    project: ProjectName,
    agent_type: AgentType,
    issue: Annotated[int | None, typer.Option(min=1, help="The issue to resolve.")] = None,
    branch: Annotated[str | None, typer.Option(help="The branch to start from.")] = None,
    depth_level: Annotated[Depth | None, typer.Option(help="How thoroughly to work.")] = None,
    target_framework: Annotated[str | None, typer.Option(help="The test framework.")] = None,
    model: Annotated[str | None, typer.Option(help="The agent's model.")] = None,
    task: Annotated[str | None, typer.Option(help="What to do, in words.")] = None,
    key: Key = None,
    wait: Wait = False,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Start a run and print its id."""
    server = connect(data_dir)
    order = {
        "project_id": find_project(server, project)["id"],
        "agent": agent_type,
        "issue": issue,
        "branch": branch,
        "depth_level": depth_level,
        "target_framework": target_framework,
        "model": model,
        "task": task,
    }
    run, replayed = submit_run(server, order, key or str(uuid.uuid4()))
    tell_started(server, run, replayed=replayed, wait=wait, json_only=json_only)


def retry_run(
    run_id: RunId,
    agent_type: Annotated[
        str | None, typer.Option("--agent-type", help="Another agent than before.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Another model than before.")] = None,
    source: Annotated[
        Source | None,
        typer.Option(
            "--from",
            help="Go on with what is kept, or start again; when not given, go on where it can.",
        ),
    ] = None,
    key: Key = None,
    wait: Wait = False,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Run it again as a new run and print the new id."""
    server = connect(data_dir)
    path = run_path(find_run(server, run_id), "/retry")
    wishes = {"agent": agent_type, "model": model, "from": source}
    run, replayed = submit_run(server, wishes, key or str(uuid.uuid4()), path)
    tell_started(server, run, replayed=replayed, wait=wait, json_only=json_only)


def tell_started(server: Server, run: dict, *, replayed: bool, wait: bool, json_only: bool) -> None:
    """Print what was started; with `wait` follow it to its end, exit 4 if it failed."""
    if replayed:
        err().say("This key had already started this run; no second one was started.")
    if not json_only:
        out().say(str(run["id"]))
    run = _wait(server, str(run["id"])) if wait else run
    if json_only:
        print_json(run)
    elif wait:
        say_end(out(), run)
    if wait and run["status"] != Status.SUCCEEDED:
        raise typer.Exit(NOT_SUCCEEDED)


def submit_run(server: Server, order: dict, key: str, path: str = "/runs") -> tuple[dict, bool]:
    """Submit a run, once more under the same key where the answer got lost.

    Answers the run and whether the key had made it before. Raises Refused, Unreachable.
    """
    body = {name: value for name, value in order.items() if value is not None}
    was_lost = False
    try:
        answer = server.send("POST", path, body=body, key=key)
    except Unreachable as problem:
        if not problem.delivered:
            raise
        was_lost = True
        answer = server.send("POST", path, body=body, key=key)
    replayed = answer.headers.get("Idempotency-Replayed") == "true"
    return read_json(answer, server.url), replayed and not was_lost


def list_runs(
    project: Annotated[
        str | None, typer.Option("--project", "-p", help="Only this project's, by id or name.")
    ] = None,
    status: Annotated[
        list[Status] | None, typer.Option(help="Only runs that stand so; may be repeated.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, max=100, help="How many at most; 50 when not given.")
    ] = None,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """List runs, newest first."""
    server = connect(data_dir)
    chosen = find_project(server, project)["id"] if project else None
    wanted = [one.value for one in status or ()]
    page = server.get("/runs", project_id=chosen, status=wanted, limit=limit)
    if json_only:
        print_json(page)
    elif page["items"]:
        say_runs(out(), page["items"])
    else:
        err().say("There are no such runs.")


def show_run(run_id: RunId, json_only: Json = False, data_dir: DataDir = None) -> None:
    """Show a run and its timeline."""
    server = connect(data_dir)
    whole_id = find_run(server, run_id)
    run = server.get(run_path(whole_id))
    if json_only:
        print_json(run)
        return
    say_run(out(), run)
    out().say()
    say_timeline(out(), server.get(run_path(whole_id, "/timeline"))["items"])


def stop_run(
    run_id: RunId,
    reason: Annotated[str | None, typer.Option(help="Why, for the run's timeline.")] = None,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Stop a run; its work is kept."""
    server = connect(data_dir)
    path = run_path(find_run(server, run_id), "/stop")
    run = server.post(path, {"because": reason} if reason else {})
    if json_only:
        print_json(run)
    else:
        out().say(status_piece(run), f"  {shorten(str(run['id']))}")


def read_log(
    run_id: RunId,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")
    ] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Pass every byte on, terminal or not; be careful.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Print a run's log; on a terminal only its colours can act."""
    server = connect(data_dir)
    log = _Log(server, find_run(server, run_id), raw=raw)
    try:
        log.print_rest()
        if follow:
            for event in follow_run(server, log.run_id):
                if event.name != "log" or log.lacks(event.data.get("next")):
                    log.print_rest()
            log.print_rest()
    finally:
        log.finish()


class _Log:
    """A run's log on its way to standard output."""

    def __init__(self, server: Server, run_id: str, *, raw: bool) -> None:
        self.run_id = run_id
        self._server = server
        self._offset = 0
        self._was_cut = False
        self._filter = (
            LogFilter(keep_colours=is_colourful(sys.stdout))
            if sys.stdout.isatty() and not raw
            else None
        )

    def lacks(self, position: object) -> bool:
        """True unless everything up to `position` has been printed."""
        return not isinstance(position, int) or position > self._offset

    def print_rest(self) -> None:
        """Print from where we are to the present end."""
        while True:
            answer = self._server.send(
                "GET",
                run_path(self.run_id, "/log"),
                params={"offset": self._offset, "limit": LOG_PIECE_BYTES},
            )
            self._was_cut = answer.headers.get("X-Log-Truncated") == "true"
            self._write(answer.content)
            self._offset = int(answer.headers.get("X-Log-Next", self._offset))
            if not answer.content or self._offset >= int(answer.headers.get("X-Log-Size", 0)):
                return

    def finish(self) -> None:
        """Print what was held back, and say where something is missing."""
        if self._filter:
            sys.stdout.write(self._filter.finish())
            sys.stdout.flush()
        if self._was_cut:
            err().say("This log was longer than is kept: a part in its middle is missing.")

    def _write(self, piece: bytes) -> None:
        if self._filter:
            sys.stdout.write(self._filter.feed(piece))
            sys.stdout.flush()
        else:
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()


def _wait(server: Server, run_id: str) -> dict:
    try:
        return wait_for_run(server, run_id, err())
    except KeyboardInterrupt:
        err().say(f"The run goes on. Look again with: runyard runs show {shorten(run_id)}")
        raise
