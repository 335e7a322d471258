"""`runyard runs show|timeline|report|diff|logs`: everything there is to read of one run."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from app.cli.connection import Server, connect
from app.cli.feed import follow_run, outlasting_losses
from app.cli.log_filter import LogFilter
from app.cli.lookup import find_run, run_path
from app.cli.options import DataDir, Json, RunId, example
from app.cli.run_view import say_diff, say_report, say_run, say_timeline
from app.cli.terminal import err, is_colourful, out, print_json

LOG_PIECE_BYTES = 256 * 1024


def register(runs: typer.Typer) -> None:
    """Add the commands to the group `runs`."""
    runs.command("show", epilog=example("runyard runs show …7f3k1a"))(show_run)
    runs.command("timeline", epilog=example("runyard runs timeline 7f3k1a"))(show_timeline)
    runs.command("report", epilog=example("runyard runs report 7f3k1a --json"))(show_report)
    logs_example = example(
        "runyard runs logs 7f3k1a --follow", "runyard runs logs 7f3k1a > run.log"
    )
    runs.command("logs", epilog=logs_example)(read_log)
    diff_example = example("runyard runs diff 7f3k1a", "runyard runs diff 7f3k1a | git apply")
    runs.command("diff", epilog=diff_example)(read_diff)


def show_run(run_id: RunId, json_only: Json = False, data_dir: DataDir = None) -> None:
    """Show a run, what its agent reported, and its timeline."""
    server = connect(data_dir)
    whole_id = find_run(server, run_id)
    run = server.get(run_path(whole_id))
    if json_only:
        print_json(run)
        return
    screen = out()
    say_run(screen, run)
    say_report(screen, server.get(run_path(whole_id, "/report")))
    screen.say()
    say_timeline(screen, server.get(run_path(whole_id, "/timeline"))["items"])


def show_timeline(run_id: RunId, json_only: Json = False, data_dir: DataDir = None) -> None:
    """Show what happened to a run, oldest first."""
    server = connect(data_dir)
    timeline = server.get(run_path(find_run(server, run_id), "/timeline"))
    if json_only:
        print_json(timeline)
    else:
        say_timeline(out(), timeline["items"])


def show_report(run_id: RunId, json_only: Json = False, data_dir: DataDir = None) -> None:
    """Show what a run's agent reported of its work."""
    server = connect(data_dir)
    report = server.get(run_path(find_run(server, run_id), "/report"))
    if json_only:
        print_json(report)
    elif report["sentence"] or report["final_message"]:
        say_report(out(), report)
    else:
        err().say("This run's agent has reported nothing that can be read.")


def read_diff(run_id: RunId, data_dir: DataDir = None) -> None:
    """Print what a run changed, as a unified diff."""
    server = connect(data_dir)
    answer = server.send("GET", run_path(find_run(server, run_id), "/diff"))
    print_diff(answer.content, is_cut=answer.headers.get("X-Diff-Truncated") == "true")


def print_diff(content: bytes, *, is_cut: bool) -> None:
    """Print a diff: harmless and coloured on a terminal, every byte as it is elsewhere."""
    if sys.stdout.isatty():
        say_diff(out(), content.decode("utf-8", "replace"))
    else:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    if not content:
        err().say("Nothing was changed.")
    if is_cut:
        err().say("This diff is longer than is shown: its end is missing.")


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
            log.follow()
    except KeyboardInterrupt:
        if sys.stdout.isatty():
            print()  # what comes next begins on a line of its own
        raise
    finally:
        log.finish()


class _Log:
    """A run's log on its way to standard output."""

    def __init__(self, server: Server, run_id: str, *, raw: bool) -> None:
        self._run_id = run_id
        self._server = server
        self._offset = 0
        self._was_cut = False
        self._filter = (
            LogFilter(keep_colours=is_colourful(sys.stdout))
            if sys.stdout.isatty() and not raw
            else None
        )

    def follow(self) -> None:
        """Print what comes until the run has ended, a server that starts again in between or not.

        Raises Unreachable, Refused.
        """
        for event in follow_run(self._server, self._run_id):
            with outlasting_losses():
                if event.name != "log" or self._lacks(event.data.get("next")):
                    self.print_rest()
        self.print_rest()

    def print_rest(self) -> None:
        """Print from where we are to the present end."""
        while True:
            answer = self._server.send(
                "GET",
                run_path(self._run_id, "/log"),
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

    def _lacks(self, position: object) -> bool:
        """True unless everything up to `position` has been printed."""
        return not isinstance(position, int) or position > self._offset

    def _write(self, piece: bytes) -> None:
        if self._filter:
            sys.stdout.write(self._filter.feed(piece))
            sys.stdout.flush()
        else:
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
