"""`runyard runs logs`: print a run's log, as bytes or as readable entries."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from app.api.client import calls
from app.cli.client.connection import Misused, Server, connect, find_run
from app.cli.client.feed import follow_run, outlasting_losses
from app.cli.output.log_filter import LogFilter
from app.cli.output.options import DataDir, RunId
from app.cli.output.run_view import date_and_clock
from app.cli.output.terminal import Painted, Piece, Screen, err, is_colourful, out
from app.domain.agents.reports import SIGNS, EntryKind, split_lines

if TYPE_CHECKING:
    import httpx

LOG_PIECE_BYTES = 256 * 1024
READABLE = "readable"
HITS = 1000
_COLOURS: dict[str, str] = {
    **dict.fromkeys((EntryKind.THOUGHT, EntryKind.RESULT, EntryKind.NOTE, EntryKind.CUT), "dim"),
    EntryKind.TOOL: "cyan",
    EntryKind.FAILED: "red",
    EntryKind.END: "bold",
}


def read_log(
    run_id: RunId,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Follow until the run ends.")
    ] = False,
    readable: Annotated[
        bool,
        typer.Option(
            "--readable", help="Show what the agent said and did, if its output has events."
        ),
    ] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Print raw bytes, even to a terminal; use with care.")
    ] = False,
    search: Annotated[
        str | None,
        typer.Option(
            "--search", "-q", help="Print only the lines that contain these words, numbered."
        ),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Print a run's log; colors are its only control codes."""
    if readable and raw:
        raise Misused("Give --readable or --raw, not both.")
    if search is not None and (follow or raw):
        raise Misused("Give --search alone, or with --readable.")
    server = connect(data_dir)
    if search is not None:
        print_hits(server, find_run(server, run_id), search, readable=readable)
        return
    log = _Log(server, find_run(server, run_id), raw=raw, readable=readable)
    try:
        log.print_rest()
        if follow:
            log.follow()
    except KeyboardInterrupt:
        if sys.stdout.isatty():
            print()  # the next output starts on a new line
        raise
    finally:
        log.finish()


def print_hits(server: Server, run_id: str, words: str, *, readable: bool) -> None:
    """Print the numbered lines of a log that contain some words, like grep."""
    count, cursor = 0, ""
    while cursor is not None:
        found = calls.search_log(run_id, words, readable=readable, cursor=cursor, limit=HITS)
        page = server.ask(found)
        for hit in page["items"]:
            out().print(Painted(f"{hit['line']}:", "dim"), str(hit["text"]))
        count, cursor = count + len(page["items"]), page.get("next_cursor")
    if not count:
        err().print("The log does not contain these words.")


class _Log:
    """A printer of a run's log to standard output."""

    def __init__(self, server: Server, run_id: str, *, raw: bool, readable: bool) -> None:
        self._run_id = run_id
        self._server = server
        self._readable = readable
        self._offset = 0
        self._was_cut = False
        self._day = ""
        self._filter = (
            LogFilter(keep_colours=is_colourful(sys.stdout))
            if (sys.stdout.isatty() or sys.stderr.isatty()) and not raw
            else None
        )

    def follow(self) -> None:
        """Print new output until the run has ended, across restarts of the server.

        Raises Unreachable, Refused.
        """
        for event in follow_run(self._server, self._run_id):
            with outlasting_losses():
                if event.name != "log" or self._lacks(event.data.get("next")):
                    self.print_rest()
        self.print_rest()

    def print_rest(self) -> None:
        """Print from the current offset to the present end; only complete entries."""
        while True:
            at, most, readable = self._offset, LOG_PIECE_BYTES, self._readable
            answer = self._server.send(
                calls.log(self._run_id, offset=at, limit=most, readable=readable)
            )
            self._was_cut = answer.headers.get("X-Log-Truncated") == "true"
            self._show(answer)
            begin, self._offset = self._offset, int(answer.headers.get("X-Log-Next", self._offset))
            if self._offset <= begin or self._offset >= int(answer.headers.get("X-Log-Size", 0)):
                return

    def finish(self) -> None:
        """Print what was held back, and report if a part is missing."""
        if self._filter:
            sys.stdout.write(self._filter.finish())
            sys.stdout.flush()
        if self._was_cut:
            err().print("This log exceeded its size limit: its middle is missing.")

    def _lacks(self, position: object) -> bool:
        """Return True unless everything up to `position` has been printed."""
        return not isinstance(position, int) or position > self._offset

    def _show(self, answer: httpx.Response) -> None:
        if answer.headers.get("X-Log-Form") == READABLE:
            self._day = print_entries(out(), answer.content, self._day)
            return
        if self._readable:
            err().print("This run's agent writes no events: showing the raw log.")
            self._readable = False
        if self._filter:
            sys.stdout.write(self._filter.feed(answer.content))
            sys.stdout.flush()
        else:
            sys.stdout.buffer.write(answer.content)
            sys.stdout.buffer.flush()


def print_entries(screen: Screen, content: bytes, day: str = "") -> str:
    """Print entries (one JSON object per line) as a run's page does, without control sequences.

    `day` is the day of the entry before, if known, and the result that of the last; a date is
    printed where it changes.
    """
    for line in content.splitlines():
        entry = json.loads(line)
        before, time = day, ""
        if entry.get("time"):
            day, _, time = date_and_clock(entry["time"]).partition(" ")
        if before and day != before:
            screen.print(Painted(f"--- {day} ---", "dim"))
        name = f"{entry['name']} " if entry["name"] else ""
        for number, words in enumerate(split_lines(entry["text"])):
            begin = f"{'' if number else time:{len(time)}} " if time else ""
            pieces = _pieces(entry["kind"], "" if number else name, words)
            screen.print(*([Painted(begin, "dim")] if begin else ()), *pieces)
    return day


def _pieces(kind: str, name: str, words: str) -> list[Piece]:
    sign, colour = SIGNS.get(kind, ""), _COLOURS.get(kind, "")
    if name:
        return [Painted(sign + name, colour), words]
    return [Painted(sign + words, colour)]
