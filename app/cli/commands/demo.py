"""`runyard demo`: play the whole loop on a small repository, in a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import typer

from app.api.client import calls, tracker_calls
from app.cli.client.connection import Refused, Server, Unreachable
from app.cli.client.feed import follow_run
from app.cli.commands.auto import print_pause, print_plan
from app.cli.commands.runs.start import NOT_SUCCEEDED, submit_run
from app.cli.output.options import Json, example
from app.cli.output.progress import Stages
from app.cli.output.run_view import print_end, print_event, show_diff, size_of, what
from app.cli.output.terminal import Painted, Screen, err, out, print_json
from app.cli.server.temporary_server import borrow_server, signals_waiting
from app.domain.sandbox.levels import SandboxLevel
from app.domain.text.durations import two_units
from app.domain.words import PAUSE_THRESHOLD

CLONE_SECONDS = 60.0
RUN_SECONDS = 120.0
NEXT_SECONDS = 60.0
_ASK_SECONDS = 0.1
# the events that are printed of later runs; the first run's timeline is printed whole
_IN_SHORT = frozenset({"spawned", "exited", "kill_sent", "reaped", "delivered"})


RELEASE_SECONDS = 20.0


@dataclass(frozen=True)
class Ending:
    """The expected end of a run of the demo."""

    status: str
    cause: str


SUCCESS = Ending("succeeded", "delivered")
FAILURES = (
    Ending("died", "exit_code"),
    Ending("timed_out", "budget"),
    Ending("died", "no_delivery"),
)


class DemoFailed(Exception):
    """The demo did not go as expected; the message is a sentence."""


class Story:
    """The story: a delivery by hand, three failures by the loop, its pause, Reset, a delivery."""

    def __init__(self, server: Server, screen: Screen) -> None:
        self.told: dict[str, Any] = {"project": None, "runs": [], "paused": None, "next": None}
        self._server = server
        self._screen = screen
        self._project: dict[str, Any] = {}
        self._issues: dict[int, dict[str, Any]] = {}

    def play(self) -> None:
        """Play the whole story. Raises DemoFailed, Refused, Unreachable."""
        self._make_project()
        self._start_by_hand()
        self._let_the_loop_fail()
        self._look_at_the_pause()
        self._reset()

    # --- its steps -----------------------------------------------------------------------------

    def _make_project(self) -> None:
        self._step("Creating a small repository with issues, and a scripted agent")
        self._project = self._server.ask(calls.add_demo_project())
        self._project = self._await_project(
            lambda project: project["state"] != "cloning", CLONE_SECONDS
        )
        if self._project["state"] != "ready":
            raise DemoFailed(f"Its repository could not be cloned. {self._because()}")
        if self._project["sandbox"] == SandboxLevel.NONE:
            told = "Its agent runs unsandboxed: `runyard doctor` says why, and what helps."
            self._screen.print(Painted(told, "red"))
        for issue in self._server.ask(tracker_calls.issues(self._id))["items"]:
            self._issues[issue["number"]] = issue
            mark = Painted("claimable", "green") if issue["claimable"] else Painted("waits", "dim")
            self._screen.print(f"  #{issue['number']}  ", mark, f"  {issue['title']}")

    def _start_by_hand(self) -> None:
        self._step("Start AFK run: the first claimable issue in the queue")
        # a run that is still being accepted can be neither listed nor stopped
        with signals_waiting():
            run, _ = submit_run(self._server, partial(calls.start_afk, self._id), None)
        ended = self._watch(run, SUCCESS, whole=True)
        self._step("What it changed")
        show_diff(self._screen, self.told["runs"][-1]["diff"].rstrip("\n"))
        self._step("How it ended")
        self._print_delivery(ended)

    def _let_the_loop_fail(self) -> None:
        self._step("Auto AFK runs: On")
        self._server.send(calls.set_auto(self._id, enabled=True))
        for ending in FAILURES:
            self._watch(self._await_next_run(), ending)

    def _look_at_the_pause(self) -> None:
        self._step("Three failures in a row: the loop pauses and says why")
        paused = self._await_project(lambda project: project["paused"])
        self.told["paused"] = paused
        print_pause(self._screen, paused)
        plan = self._server.ask(calls.next_plan(self._id))
        self._screen.print(f"Nothing starts: {plan['because']}.")
        _expect(paused["strikes"] == PAUSE_THRESHOLD, f"It counted {paused['strikes']} fails.")
        _expect(plan["would"] is None, "The pause does not hold.")
        _expect(bool(paused["ready_count"]), "No issue is left to continue with.")

    def _reset(self) -> None:
        self._step("Reset: the loop continues with the next issue")
        reset = self._server.ask(calls.reset(self._id))
        _expect(not reset["paused"] and reset["strikes"] == 0, "Reset did not end the pause.")
        ended = self._watch(self._await_next_run(), SUCCESS)
        self._print_delivery(ended)
        self._step("What comes next: merge or discard what was kept")
        self.told["project"] = self._await_project(
            lambda project: project["strikes"] == 0 and not project["live_runs"]
        )
        self.told["next"] = self._server.ask(calls.next_plan(self._id))
        print_plan(self._screen, self.told["next"])

    # --- helpers -------------------------------------------------------------------------------

    def _watch(self, started: dict[str, Any], ending: Ending, *, whole: bool = False) -> Any:
        run_id, issue = str(started["id"]), self._issues.get(started["issue"], {})
        self._screen.print(Painted(what(started), "bold"))
        self._screen.print(Painted(str(issue.get("body", "")), "dim"))
        stages, timeline = Stages(self._server, run_id), []
        give_up_at = time.monotonic() + RUN_SECONDS
        for _ in follow_run(self._server, run_id):
            timeline += self._print_news(stages, whole=whole)[1]
            _expect(time.monotonic() < give_up_at, "A run of the demo took too long.")
        run, rest = self._print_news(stages, whole=whole)
        diff = self._server.send(calls.diff(run_id)).text
        self.told["runs"].append({"run": run, "timeline": timeline + rest, "diff": diff})
        if ending is not SUCCESS:
            print_end(self._screen, run)
        _expect(
            Ending(run["status"], run["cause"]) == ending,
            f"The run of {what(run)} ended unexpectedly: {run['label']}, {run['because']}",
        )
        _expect(ending is not SUCCESS or bool(run["delivery"]), "Nothing was delivered.")
        return run

    def _print_news(self, stages: Stages, *, whole: bool) -> tuple[dict[str, Any], list[Any]]:
        run, events = stages.news()
        for event in events:
            if whole or event["kind"] in _IN_SHORT:
                print_event(self._screen, event)
        return run, events

    def _print_delivery(self, run: dict[str, Any]) -> None:
        print_end(self._screen, run)
        given = run["delivery"]
        kind = str(given["kind"]).replace("_", " ")
        self._screen.print(
            f"Delivered: {kind} #{given['number']}, {given['state']}, {size_of(given)}"
        )
        self._screen.print("Its branch: ", Painted(str(run["work_branch"]), "bold"))

    def _await_next_run(self) -> dict[str, Any]:
        known = {one["run"]["id"] for one in self.told["runs"]}
        give_up_at = time.monotonic() + NEXT_SECONDS
        while True:
            runs = self._server.ask(calls.runs(project_id=self._id))["items"]
            new = [run for run in runs if run["id"] not in known]
            if new:
                return new[-1]
            _expect(time.monotonic() < give_up_at, "The loop did not start the next run.")
            time.sleep(_ASK_SECONDS)

    def _await_project(
        self, is_so: Callable[[dict[str, Any]], Any], seconds: float = NEXT_SECONDS
    ) -> dict[str, Any]:
        give_up_at = time.monotonic() + seconds
        while not is_so(project := self._server.ask(calls.project(self._id))):
            if time.monotonic() > give_up_at:
                raise DemoFailed("The demo's project did not get this far in time.")
            time.sleep(_ASK_SECONDS)
        return project

    def _because(self) -> str:
        return str(self._project.get("state_because") or "")

    @property
    def _id(self) -> str:
        return str(self._project["id"])

    def _step(self, words: str) -> None:
        print_step(self._screen, words)


def print_step(screen: Screen, words: str) -> None:
    """Print the heading of a step."""
    screen.print(Painted(f"== {words}", "bold"))


def _expect(came_true: bool, otherwise: str) -> None:
    if not came_true:
        raise DemoFailed(otherwise)


def register(app: typer.Typer) -> None:
    """Add the command `demo`."""
    app.command("demo", epilog=example("runyard demo", "runyard demo --keep"))(demonstrate)


def demonstrate(
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the demo's folder and print its path.")
    ] = False,
    json_only: Json = False,
) -> None:
    """Play a demo on a small temporary repository.

    A delivery, three failures, the pause, Reset, a delivery, on a separate server.
    """
    screen, begun = err() if json_only else out(), time.monotonic()
    print_step(screen, "Starting a separate server in a temporary folder")
    otherwise = None
    with borrow_server(keep=keep) as (server, folder):
        if keep:
            screen.print(f"Kept in {folder}")
        story = Story(server, screen)
        with _leaving_nothing_alive(server):
            try:
                story.play()
            except DemoFailed as problem:
                otherwise = str(problem)
    if json_only:
        print_json(story.told | {"folder": str(folder) if keep else None})
    if otherwise:
        err().print(Painted(otherwise, "red"))
        raise typer.Exit(NOT_SUCCEEDED)
    print_step(screen, f"Done in {two_units(time.monotonic() - begun)}")
    if keep:
        screen.print(f"See it in a browser with: runyard serve --data-dir {folder}")


@contextmanager
def _leaving_nothing_alive(server: Server) -> Generator[None]:
    """End and release every run before its server and folder go."""
    try:
        yield
    except SystemExit:
        err().print("Stopping everything the demo started. This takes a moment.")
        raise
    finally:
        try:
            # first: the loop would start another run for every one that is stopped
            _switch_loops_off(server)
            _release_runs(server)
        except (Refused, Unreachable) as problem:
            err().print(f"Could not end the demo's runs cleanly: {problem}")


def _switch_loops_off(server: Server) -> None:
    for project in server.ask(calls.projects(include_archived=False))["items"]:
        if project["auto_enabled"]:
            server.send(calls.set_auto(project["id"], enabled=False))


def _release_runs(server: Server) -> None:
    # listed, not remembered: a submit with a lost answer, or the loop, may have created one
    ids = [str(run["id"]) for run in server.ask(calls.runs())["items"]]
    for run_id in ids:
        if server.ask(calls.run(run_id))["phase"] != "done":
            with suppress(Refused):  # it has just ended
                server.ask(calls.stop(run_id, "The demo ended."))
    give_up_at = time.monotonic() + RELEASE_SECONDS
    while ids := [one for one in ids if not server.ask(calls.run(one)).get("released_at")]:
        if time.monotonic() > give_up_at:
            raise Refused("its processes could not be proved gone.")
        time.sleep(_ASK_SECONDS)
