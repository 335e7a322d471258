"""`runyard runs show|timeline|report|diff`: read one run; its log is in runs_log."""

from __future__ import annotations

import sys

import typer

from app.api.client import calls
from app.cli.client.connection import connect, find_run
from app.cli.commands.runs_log import read_log
from app.cli.output.options import DataDir, Json, RunId, example
from app.cli.output.run_view import print_report, print_run, print_timeline, show_diff
from app.cli.output.terminal import err, out, print_json


def register(runs: typer.Typer) -> None:
    """Add the commands to the group `runs`."""
    runs.command("show", epilog=example("runyard runs show …7f3k1a"))(show_run)
    runs.command("timeline", epilog=example("runyard runs timeline 7f3k1a"))(show_timeline)
    runs.command("report", epilog=example("runyard runs report 7f3k1a --json"))(show_report)
    logs_example = example(
        "runyard runs logs 7f3k1a --follow",
        "runyard runs logs 7f3k1a --readable",
        "runyard runs logs 7f3k1a > run.log",
    )
    runs.command("logs", epilog=logs_example)(read_log)
    diff_example = example("runyard runs diff 7f3k1a", "runyard runs diff 7f3k1a | git apply")
    runs.command("diff", epilog=diff_example)(read_diff)


def show_run(run_id: RunId, json_only: Json = False, data_dir: DataDir = None) -> None:
    """Show a run, what its agent reported, and its timeline."""
    server = connect(data_dir)
    whole_id = find_run(server, run_id)
    run = server.ask(calls.run(whole_id))
    if json_only:
        print_json(run)
        return
    screen = out()
    print_run(screen, run)
    print_report(screen, server.ask(calls.report(whole_id)))
    screen.print()
    print_timeline(screen, server.ask(calls.timeline(whole_id))["items"])


def show_timeline(run_id: RunId, json_only: Json = False, data_dir: DataDir = None) -> None:
    """Show a run's timeline, oldest first."""
    server = connect(data_dir)
    timeline = server.ask(calls.timeline(find_run(server, run_id)))
    if json_only:
        print_json(timeline)
    else:
        print_timeline(out(), timeline["items"])


def show_report(run_id: RunId, json_only: Json = False, data_dir: DataDir = None) -> None:
    """Show what a run's agent reported."""
    server = connect(data_dir)
    report = server.ask(calls.report(find_run(server, run_id)))
    if json_only:
        print_json(report)
    elif report["sentence"] or report["final_message"]:
        print_report(out(), report)
    else:
        err().print("This run's agent has not reported anything.")


def read_diff(run_id: RunId, data_dir: DataDir = None) -> None:
    """Print what a run changed, as a unified diff."""
    server = connect(data_dir)
    answer = server.send(calls.diff(find_run(server, run_id)))
    print_diff(answer.content, is_cut=answer.headers.get("X-Diff-Truncated") == "true")


def print_diff(content: bytes, *, is_cut: bool) -> None:
    """Print a diff: cleaned and colored on a terminal, byte for byte elsewhere."""
    if sys.stdout.isatty():
        show_diff(out(), content.decode("utf-8", "replace"))
    else:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    if not content:
        err().print("No changes.")
    if is_cut:
        err().print("This diff is cut off: it is too long to show in full.")
