"""`runyard demo`: a whole run on a repository made for it, from the issue to the change."""

from __future__ import annotations

import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from app.cli.connection import Refused, Server, Unreachable
from app.cli.feed import follow_run
from app.cli.lookup import project_path, run_path
from app.cli.options import Json, example
from app.cli.own_server import ENDING_SIGNALS, borrow_server
from app.cli.progress import Stages
from app.cli.run_view import say_diff, say_end, say_event, size_of
from app.cli.runs import NOT_SUCCEEDED, submit_run
from app.cli.terminal import Painted, Screen, err, out, print_json

CLONE_SECONDS = 60.0
RUN_SECONDS = 300.0
RELEASE_SECONDS = 20.0
_ASK_SECONDS = 0.1


def register(app: typer.Typer) -> None:
    """Add the command to the whole."""
    app.command("demo", epilog=example("runyard demo", "runyard demo --keep"))(demonstrate)


def demonstrate(
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the demo's folder and say where it is.")
    ] = False,
    json_only: Json = False,
) -> None:
    """Show one real run, from an issue to a delivered change."""
    screen = err() if json_only else out()
    _say_step(screen, "Starting a server of its own, in a folder of its own")
    with borrow_server(keep=keep) as (server, folder):
        if keep:
            screen.say(f"It is kept. Open it again with: runyard serve --data-dir {folder}")
        told = _tell(server, screen)
    if json_only:
        print_json(told | {"folder": str(folder) if keep else None})
    if told["run"]["status"] != "succeeded" or not told["run"].get("delivery"):
        raise typer.Exit(NOT_SUCCEEDED)


def _tell(server: Server, screen: Screen) -> dict[str, Any]:
    project = _ready_project(server, screen)
    issue = _lowest_claimable(server, project, screen)
    _say_step(screen, f"Starting a run on issue #{issue['number']}")
    order = {"project_id": project["id"], "issue": issue["number"]}
    with _leaving_nothing_alive(server):
        with _signals_waiting():
            run, _ = submit_run(server, order, str(uuid.uuid4()))
        run, timeline = _watch(server, str(run["id"]), screen)
        diff = server.send("GET", run_path(str(run["id"]), "/diff")).text
    _say_step(screen, "What it changed")
    say_diff(screen, diff.rstrip("\n"))
    _say_delivery(screen, run)
    return {"project": project, "issue": issue, "run": run, "timeline": timeline, "diff": diff}


def _ready_project(server: Server, screen: Screen) -> dict[str, Any]:
    _say_step(screen, "Making a small repository with three issues")
    project = server.post("/demo-project")
    give_up_at = time.monotonic() + CLONE_SECONDS
    while project["state"] != "ready":
        if project["state"] == "broken" or time.monotonic() > give_up_at:
            because = project.get("state_because") or "It took too long."
            raise Refused(f"The demo's repository could not be cloned. {because}")
        time.sleep(_ASK_SECONDS)
        project = server.get(project_path(project))
    return project


def _lowest_claimable(server: Server, project: dict[str, Any], screen: Screen) -> dict[str, Any]:
    issues = server.get(project_path(project, "/issues"))["items"]
    for issue in issues:
        mark = Painted("claimable", "green") if issue["claimable"] else Painted("not yet", "dim")
        screen.say(f"  #{issue['number']}  ", mark, f"  {issue['title']}")
    claimable = [issue for issue in issues if issue["claimable"]]
    if not claimable:
        raise Refused("None of the demo's issues can be claimed.")
    return min(claimable, key=lambda issue: issue["number"])


def _watch(server: Server, run_id: str, screen: Screen) -> tuple[dict[str, Any], list[Any]]:
    stages, timeline = Stages(server, run_id), []
    give_up_at = time.monotonic() + RUN_SECONDS
    for _ in follow_run(server, run_id):
        timeline += _say_news(stages, screen)[1]
        if time.monotonic() > give_up_at:
            raise Refused("The demo's run took too long.")
    run, rest = _say_news(stages, screen)
    return run, timeline + rest


def _say_news(stages: Stages, screen: Screen) -> tuple[dict[str, Any], list[Any]]:
    run, events = stages.news()
    for event in events:
        say_event(screen, event)
    return run, events


def _say_delivery(screen: Screen, run: dict[str, Any]) -> None:
    _say_step(screen, "How it ended")
    say_end(screen, run)
    delivery = run.get("delivery")
    if not delivery:
        screen.say("Nothing was delivered.")
        return
    kind = str(delivery["kind"]).replace("_", " ")
    screen.say(f"Delivered: {kind} #{delivery['number']}, {delivery['state']}, {size_of(delivery)}")
    screen.say("Its branch: ", Painted(str(run.get("work_branch", "")), "bold"))


@contextmanager
def _signals_waiting() -> Iterator[None]:
    """Let what would end us wait: a run still being accepted cannot be listed, nor be stopped."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _leaving_nothing_alive(server: Server) -> Iterator[None]:
    """See to it that every run is over and gone before its server and folder are."""
    try:
        yield
    finally:
        try:
            # Asked for, not remembered: a submit whose answer was lost may have made one.
            for run in server.get("/runs")["items"]:
                _release(server, str(run["id"]))
        except (Refused, Unreachable) as problem:
            err().say(f"The demo's run could not be ended: {problem}")


def _release(server: Server, run_id: str) -> None:
    if server.get(run_path(run_id))["phase"] != "done":
        server.post(run_path(run_id, "/stop"), {"because": "The demo ended."})
    give_up_at = time.monotonic() + RELEASE_SECONDS
    while not server.get(run_path(run_id)).get("released_at"):
        if time.monotonic() > give_up_at:
            raise Refused("Its processes could not be proved gone.")
        time.sleep(_ASK_SECONDS)


def _say_step(screen: Screen, words: str) -> None:
    screen.say(Painted(f"== {words}", "bold"))
