"""`runyard demo`: the whole loop on a repository made for it, in a terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated

import typer

from app.cli.connection import Refused, Server, Unreachable
from app.cli.demo_story import Story, WentOtherwise, say_step
from app.cli.lookup import project_path, run_path
from app.cli.options import Json, example
from app.cli.own_server import borrow_server
from app.cli.run_view import spell
from app.cli.starting import NOT_SUCCEEDED
from app.cli.terminal import Painted, err, out, print_json

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
    """Show the loop on a small repository made for it.

    A delivery, three failures, the pause, Reset, a delivery, on a server of its own.
    """
    screen, begun = err() if json_only else out(), time.monotonic()
    say_step(screen, "Starting a server of its own, in a folder of its own")
    otherwise = None
    with borrow_server(keep=keep) as (server, folder):
        if keep:
            screen.say(f"It is kept: {folder}")
        story = Story(server, screen)
        with _leaving_nothing_alive(server):
            try:
                story.tell()
            except WentOtherwise as problem:
                otherwise = str(problem)
    if json_only:
        print_json(story.told | {"folder": str(folder) if keep else None})
    if otherwise:
        err().say(Painted(otherwise, "red"))
        raise typer.Exit(NOT_SUCCEEDED)
    say_step(screen, f"That was all of it, in {spell(time.monotonic() - begun)}")
    if keep:
        screen.say(f"See it in a browser with: runyard serve --data-dir {folder}")


@contextmanager
def _leaving_nothing_alive(server: Server) -> Iterator[None]:
    """See to it that every run is over and gone before its server and folder are."""
    try:
        yield
    except SystemExit:
        err().say("Ending what was started. This takes a moment.")
        raise
    finally:
        try:
            # off first: the loop would start the next run for every one that is stopped
            _switch_loops_off(server)
            _release_runs(server)
        except (Refused, Unreachable) as problem:
            err().say(f"The demo's runs could not be ended in order: {problem}")


def _switch_loops_off(server: Server) -> None:
    for project in server.get("/projects")["items"]:
        if project["auto_enabled"]:
            server.send("PUT", project_path(project, "/afk/auto"), body={"enabled": False})


def _release_runs(server: Server) -> None:
    # asked for, not remembered: a submit whose answer was lost, or the loop, may have made one
    ids = [str(run["id"]) for run in server.get("/runs")["items"]]
    for run_id in ids:
        if server.get(run_path(run_id))["phase"] != "done":
            with suppress(Refused):  # it has ended meanwhile
                server.post(run_path(run_id, "/stop"), {"because": "The demo ended."})
    give_up_at = time.monotonic() + RELEASE_SECONDS
    while ids := [one for one in ids if not server.get(run_path(one)).get("released_at")]:
        if time.monotonic() > give_up_at:
            raise Refused("its processes could not be proved gone.")
        time.sleep(_ASK_SECONDS)
