"""`runyard runs show|prompt|timeline|report|checks|diff` and `export`: read one run."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from app.api.client import calls, prompt_calls
from app.cli.client.connection import Refused, Server, connect, find_run
from app.cli.commands.runs.log import read_log
from app.cli.output.options import DataDir, Json, RunId, example
from app.cli.output.run_view import (
    print_prompt,
    print_report,
    print_run,
    print_timeline,
    show_diff,
)
from app.cli.output.terminal import Painted, Piece, err, out, print_json
from app.domain.formatting import size_words
from app.domain.text.durations import two_units

Output = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="A new file, or - for standard output (default: named after the run).",
        show_default=False,
    ),
]
CHECK_COLOURS = {"passed": "green", "running": "cyan", "stopped": "dim"}


def register(runs: typer.Typer) -> None:
    """Add the commands to the group `runs`."""
    runs.command("show", epilog=example("runyard runs show …7f3k1a"))(show_run)
    runs.command("prompt", epilog=example("runyard runs prompt 7f3k1a"))(show_prompt)
    runs.command("timeline", epilog=example("runyard runs timeline 7f3k1a"))(show_timeline)
    runs.command("report", epilog=example("runyard runs report 7f3k1a --json"))(show_report)
    runs.command("checks", epilog=example("runyard runs checks 7f3k1a"))(show_checks)
    logs_example = example(
        "runyard runs logs 7f3k1a --follow",
        "runyard runs logs 7f3k1a --readable",
        "runyard runs logs 7f3k1a > run.log",
    )
    runs.command("logs", epilog=logs_example)(read_log)
    diff_example = example("runyard runs diff 7f3k1a", "runyard runs diff 7f3k1a | git apply")
    runs.command("diff", epilog=diff_example)(read_diff)


def register_export(app: typer.Typer) -> None:
    """Add the command `export`."""
    export_example = example("runyard export 7f3k1a", "runyard export 7f3k1a -o run.zip")
    app.command("export", epilog=export_example)(export_run)


def show_run(run_id: RunId, json_only: Json = False, data_dir: DataDir = None) -> None:
    """Show a run, its report, its timeline and its prompts."""
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
    turns = server.ask(prompt_calls.prompt(whole_id))["turns"]
    if turns:
        screen.print()
        print_prompt(screen, turns)


def show_prompt(run_id: RunId, json_only: Json = False, data_dir: DataDir = None) -> None:
    """Show the prompts that a run's agent received."""
    server = connect(data_dir)
    answer = server.ask(prompt_calls.prompt(find_run(server, run_id)))
    if json_only:
        print_json(answer)
    elif answer["turns"]:
        print_prompt(out(), answer["turns"])
    else:
        err().print("This run's agent has received no prompt yet.")


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


def show_checks(run_id: RunId, json_only: Json = False, data_dir: DataDir = None) -> None:
    """Show the checks of a run, with their results."""
    server = connect(data_dir)
    checks = server.ask(calls.checks(find_run(server, run_id)))
    if json_only:
        print_json(checks)
    elif checks["items"]:
        header = ["ROUND", "CHECK", "RESULT", "TIME", "COMMIT", ""]
        out().print_table(header, [_check_row(one) for one in checks["items"]])
    else:
        err().print("This run has no checks.")


def _check_row(check: dict[str, Any]) -> list[Piece]:
    seconds = check["seconds"]
    said = [] if check["required"] else ["not required"]
    said += [str(check["because"])] if check.get("because") else []
    said += [f"changed {', '.join(check['changed_files'])}"] if check["changed_files"] else []
    return [
        str(check["round"]),
        str(check["name"]),
        Painted(check["status"], CHECK_COLOURS.get(check["status"], "red")),
        "" if seconds is None else two_units(seconds),
        str(check["commit"])[:7],
        "; ".join(said),
    ]


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


def export_run(
    run_id: RunId, output: Output = None, json_only: Json = False, data_dir: DataDir = None
) -> None:
    """Write a run's row, timeline, log and diff into a file."""
    server = connect(data_dir)
    whole_id = find_run(server, run_id)
    if output == "-":
        _copy(server, whole_id, sys.stdout.buffer)
        return
    file = Path(output or f"{whole_id}.zip").expanduser().absolute()
    size = _write(server, whole_id, file)
    if json_only:
        print_json({"run_id": whole_id, "file": str(file), "bytes": size})
    else:
        out().print(str(file))
        err().print(Painted(size_words(size), "dim"))


def _write(server: Server, run_id: str, file: Path) -> int:
    """Write a new, complete file by a temporary name; return its size in bytes."""
    if os.path.lexists(file):
        raise Refused(f"{file} already exists: give another name with -o.")
    if not file.parent.is_dir():
        raise Refused(f"There is no folder {file.parent}: make it first.")
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=".runyard-export-") as part:
        _copy(server, run_id, part)
        try:
            os.link(part.name, file)
        except FileExistsError as error:
            raise Refused(f"{file} already exists: give another name with -o.") from error
    return file.stat().st_size


def _copy(server: Server, run_id: str, into: IO[bytes]) -> None:
    with server.stream(calls.export(run_id)) as answer:
        for piece in answer.iter_bytes():
            into.write(piece)
    into.flush()
