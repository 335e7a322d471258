"""`runyard batch`: send a file of many runs, so that an interruption loses nothing."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from app.api.client import batch_calls
from app.cli.client.completion import project_names
from app.cli.client.connection import (
    Misused,
    Refused,
    Server,
    Unreachable,
    connect,
    find_project,
    only_project,
)
from app.cli.client.feed import LOST_SECONDS, PAUSE_SECONDS
from app.cli.commands.batch_file import BatchFile, read_batch
from app.cli.output.options import DataDir, Json, example
from app.cli.output.terminal import Screen, err, out, print_json
from app.domain.batches import BatchStatus
from app.domain.ids import shorten
from app.domain.text.ansi import ERASE_LINE
from app.domain.words import Status

NOT_COMPLETED = 4
BAD_GATEWAY = 502  # origin or the tracker did not answer
BAR = 30
LOOK_SECONDS = 1.0

OneProject = Annotated[
    str | None,
    typer.Option(
        "--project",
        "-p",
        help="A project's id or name (default: from the file, or the only project).",
        show_default=False,
        autocompletion=project_names,
    ),
]
BatchKey = Annotated[
    str | None,
    typer.Option(
        help="The idempotency key (default: made from the file's content and today's date)."
    ),
]
WaitForAll = Annotated[
    bool,
    typer.Option("--wait", help="Wait for the batch to end; exit 4 unless every run succeeds."),
]


def register(app: typer.Typer) -> None:
    """Add the command `batch`."""
    lines = example(
        "runyard batch night.ndjson",
        "runyard batch night.ndjson --project demo --key night-7 --wait",
    )
    app.command("batch", epilog=lines)(send_batch)


def send_batch(
    file: Annotated[
        Path,
        typer.Argument(
            help="One JSON object per line: task, issue, branch, agent, model, depth_level …",
            metavar="FILE.ndjson",
            exists=True,
            dir_okay=False,
            show_default=False,
        ),
    ],
    project: OneProject = None,
    key: BatchKey = None,
    wait: WaitForAll = False,
    json_only: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Start the runs of a file with one JSON object per line.

    A line holds what `runs trigger` takes: {"task": "Tidy the README", "depth_level": "quick"}.
    Prints the batch's id. With several projects, --project or a line's "project" names the one.

    Sending the same file again on the same day continues the same batch: only what is missing is
    sent, and nothing is started twice. An aborted batch takes nothing more: exit 1.
    """
    server, screen = connect(data_dir), err()
    content = read_batch(file)
    project_id = _project_of(server, content, project)
    key = key or _own_key(content, project_id)
    screen.print(f"key {key}")
    batch_id = _make(server, project_id, len(content.lines), key)
    with Meter(screen) as meter:
        batch = _send_missing(server, batch_id, content, meter)
        if batch["status"] == BatchStatus.ABORTED:
            raise Refused(_aborted(batch))
        _print_refused(server, batch_id, content, meter)
        if wait:
            batch = _until_ended(server, batch_id, meter)
    _print_end(batch, json_only=json_only)
    if wait and batch["status"] != "completed":
        raise typer.Exit(NOT_COMPLETED)


def _project_of(server: Server, content: BatchFile, wanted: str | None) -> str:
    """Return the id of the project that is wanted, that the lines name, or the only one."""
    meant = find_project(server, wanted) if wanted is not None else None
    first = 0
    for name, line in content.projects.items():
        named = find_project(server, name)
        meant, first = meant or named, first or line
        if named["id"] == meant["id"]:
            continue
        if wanted is not None:
            raise Misused(f"The file is for {name}, and --project says {wanted}.")
        sentence = f"Line {line} is for {name}, and line {first} for {meant['name']}"
        raise Misused(f"{sentence}: a batch is for one project.")
    return str((meant or only_project(server))["id"])


def _own_key(content: BatchFile, project_id: str) -> str:
    words = f"{project_id} {datetime.now().astimezone().date()} {content.digest}"
    return f"batch-{hashlib.sha256(words.encode()).hexdigest()[:24]}"


def _make(server: Server, project_id: str, count: int, key: str) -> str:
    batch = _patiently(lambda: server.ask(batch_calls.make_batch(project_id, count, key)))
    if batch["replayed"]:
        err().print(f"This key already created batch {shorten(str(batch['id']))}.")
    return str(batch["id"])


def _look(server: Server, batch_id: str) -> dict[str, Any]:
    return dict(_patiently(lambda: server.ask(batch_calls.batch(batch_id))))


def _send_missing(
    server: Server, batch_id: str, content: BatchFile, meter: Meter
) -> dict[str, Any]:
    """Send the missing lines until the batch has begun; return the batch."""
    count = len(content.lines)
    while (batch := _look(server, batch_id))["status"] == BatchStatus.PENDING:
        missing = batch["missing"]
        meter.show("sent", count - len(missing), count)
        undecided: Refused | None = None
        # nothing missing but not sealed yet: a request without lines seals it
        for piece in content.pieces(missing) if missing else (b"",):
            try:
                receipt = server.ask(batch_calls.add_items(batch_id, piece))
            except Unreachable:
                break  # a part may have arrived: ask the server again what is missing
            except Refused as refusal:
                if refusal.status != BAD_GATEWAY:
                    raise
                undecided = refusal  # concerns some lines only; other pieces may be accepted
                continue
            meter.show("sent", receipt["received"], count)
        if undecided is not None:
            _print_refused(server, batch_id, content, meter)
            raise undecided
    return batch


def _print_refused(server: Server, batch_id: str, content: BatchFile, meter: Meter) -> None:
    """Print the lines that were not started, including those whose answer was lost or a 502."""
    refused = partial(batch_calls.batch_items, batch_id, limit=100, status=Status.NOT_STARTED)
    cursor: str | None = None
    while True:
        page = _patiently(partial(server.ask, refused(cursor=cursor)))
        for item in page["items"]:
            line, because = content.numbers[item["index"]], item["run"]["because"]
            meter.print(f"Line {line} was not started: {because}")
        if (cursor := page["next_cursor"]) is None:
            return


def _aborted(batch: dict[str, Any]) -> str:
    because = str(batch["because"] or "it was stopped").rstrip(".")
    return (
        f"The batch {shorten(str(batch['id']))} was aborted, and nothing is sent: {because}.\n"
        "To send the whole file as a new batch, give another --key."
    )


def _until_ended(server: Server, batch_id: str, meter: Meter) -> dict[str, Any]:
    while True:
        batch = _look(server, batch_id)
        done = batch["run_count"] - batch["waiting"] - batch["live"]
        meter.show("ended", done, batch["run_count"])
        if batch["ended_at"] is not None and not batch["waiting"] and not batch["live"]:
            return batch
        time.sleep(LOOK_SECONDS)


def _patiently(call: Callable[[], Any]) -> Any:
    """Retry a call for LOST_SECONDS while the server is away."""
    lost_at = None
    while True:
        try:
            return call()
        except (Unreachable, Refused) as problem:
            if isinstance(problem, Refused) and problem.status < 500:
                raise
            lost_at = lost_at or time.monotonic()
            if time.monotonic() - lost_at > LOST_SECONDS:
                raise
            time.sleep(PAUSE_SECONDS)


def _print_end(batch: dict[str, Any], *, json_only: bool) -> None:
    if json_only:
        print_json(batch)
        return
    out().print(str(batch["id"]))
    err().print(_progress_words(batch))


def _progress_words(batch: dict[str, Any]) -> str:
    words = ("delivered", "no_change", "failed", "held", "stopped", "live", "waiting")
    parts = [f"{batch[word]} {word.replace('_', ' ')}" for word in words if batch[word]]
    cost = batch["cost_usd"]
    return " · ".join([batch["label"], *parts, *([f"${cost:.2f}"] if cost else [])])


class Meter:
    """A progress meter: a bar on a terminal, elsewhere a line for each change."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._last = ""

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *_: object) -> None:
        self._wipe()

    def print(self, sentence: str) -> None:
        """Print a line above the bar."""
        self._wipe()
        self._screen.print(sentence)
        self._last = ""

    def show(self, what: str, done: int, count: int) -> None:
        """Show that `done` of `count` are reached."""
        told = f"{what} {done} of {count}"
        if told == self._last:
            return
        self._last = told
        if not self._screen.is_tty:
            self._screen.print(told)
            return
        full = BAR * done // count
        self._screen.stream.write(f"{ERASE_LINE}{'█' * full}{'░' * (BAR - full)} {told}")
        self._screen.stream.flush()

    def _wipe(self) -> None:
        if self._screen.is_tty:
            self._screen.stream.write(ERASE_LINE)
            self._screen.stream.flush()
