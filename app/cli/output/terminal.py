"""Terminal output: strips control sequences from everything that is printed for people."""

from __future__ import annotations

import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from app.domain.safe_text import reveal_hidden
from app.domain.text.ansi import paint, strip

NARROWEST = 8  # the minimum width of a shrunken column
STATUS_COLOURS = {
    "succeeded": "green",
    "died": "red",
    "timed_out": "red",
    "not_started": "red",
    "limited": "yellow",
    "stopped": "yellow",
    "expired": "yellow",
    "starting": "cyan",
    "running": "cyan",
    "checking": "cyan",
    "delivering": "cyan",
}


@dataclass(frozen=True)
class Painted:
    """Text with the name of a color, used only if the stream shows colors."""

    text: str
    colour: str


Piece = str | Painted


def clean(text: str) -> str:
    """Return one line without control sequences; line breaks and odd characters become visible."""
    safe = strip(text.replace("\r\n", "\n"))
    return reveal_hidden(safe.replace("\n", "\\n"))


def cells(text: str) -> int:
    """Return the columns that a clean text takes: wide letters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(map(_cells_of, text))


def cut(text: str, room: int) -> str:
    """Cut a clean text to `room` columns; it ends in `…` if something is left out."""
    if cells(text) <= room:
        return text
    left = room - 1
    for at, letter in enumerate(text):
        left -= _cells_of(letter)
        if left < 0:
            return text[:at] + "…" * (room > 0)
    return text


def is_colourful(stream: TextIO) -> bool:
    """Return True if colors may be used: NO_COLOR forbids, FORCE_COLOR forces, terminals allow."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (
        stream.isatty() and os.environ.get("TERM") != "dumb"
    )


@dataclass(frozen=True)
class Screen:
    """Lines for people on one stream; everything printed is cleaned here."""

    stream: TextIO

    @property
    def is_tty(self) -> bool:
        """True if the stream is a terminal."""
        return self.stream.isatty()

    @property
    def width(self) -> int:
        """The columns of the terminal; without one, enough for any line."""
        return shutil.get_terminal_size().columns if self.is_tty else 10_000

    def print(self, *pieces: Piece) -> None:
        """Print one line made of pieces."""
        self.stream.write("".join(self.render(piece) for piece in pieces) + "\n")
        self.stream.flush()

    def print_lines(self, text: str) -> None:
        """Print a text of several lines."""
        for line in text.splitlines():
            self.print(line)

    def print_facts(self, facts: Iterable[tuple[str, str]]) -> None:
        """Print one name and value per line, without those that have no value."""
        for name, value in facts:
            if value not in ("", "-"):
                self.print(Painted(f"{name:<12}", "dim"), value)

    def render(self, piece: Piece) -> str:
        """Return a piece ready to be written: cleaned, and colored if colors are shown."""
        if isinstance(piece, str):
            return clean(piece)
        text = clean(piece.text)
        return paint(text, piece.colour) if is_colourful(self.stream) else text

    def print_table(self, header: Sequence[str], rows: Sequence[Sequence[Piece]]) -> None:
        """Print rows under a header, columns aligned, the widest ones cut to fit the terminal."""
        lines: list[Sequence[Piece]] = [[Painted(name, "dim") for name in header], *rows]
        natural = [max(cells(clean(_text(line[i]))) for line in lines) for i in range(len(header))]
        widths = _fitting(natural, self.width - 2 * (len(header) - 1))
        for line in lines:
            *others, last = (_fit(*one) for one in zip(line, widths, strict=True))
            gaps = [part for piece in others for part in (piece, "  ")]
            self.print(*gaps, _as(last, _text(last).rstrip()))


def out() -> Screen:
    """Return the screen for answers: standard output."""
    return Screen(sys.stdout)


def err() -> Screen:
    """Return the screen for refusals, hints and progress: standard error."""
    return Screen(sys.stderr)


def print_json(value: Any) -> None:
    """Print only JSON; ASCII on a terminal, so that no text can control it."""
    print(json.dumps(value, indent=2, ensure_ascii=sys.stdout.isatty()), flush=True)


def status_piece(run: dict[str, Any]) -> Painted:
    """Return a run's label in its color."""
    status = str(run.get("status", ""))
    return Painted(str(run.get("label") or status), STATUS_COLOURS.get(status, "dim"))


def _cells_of(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _fitting(natural: Sequence[int], room: int) -> list[int]:
    """Fit column widths into `room`: the widest shrink first, down to NARROWEST."""
    widths = list(natural)
    while sum(widths) > room and max(widths) > NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return widths


def _text(piece: Piece) -> str:
    return piece if isinstance(piece, str) else piece.text


def _as(piece: Piece, text: str) -> Piece:
    return text if isinstance(piece, str) else Painted(text, piece.colour)


def _fit(piece: Piece, width: int) -> Piece:
    text = cut(clean(_text(piece)).replace("\t", " "), width)
    return _as(piece, text + " " * (width - cells(text)))
