"""The goals (from the table of quality), the measured figures, and the table of both."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SQLITE, POSTGRESQL = KINDS = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Row:
    """One figure with its goals on SQLite and on PostgreSQL (None: no goal)."""

    key: str
    name: str
    goal: float
    unit: str
    goal_postgresql: float | None = None
    is_floor: bool = False

    def goal_on(self, kind: str) -> float | None:
        """Return the goal on one kind of database."""
        return self.goal if kind == SQLITE else self.goal_postgresql

    def is_met(self, value: float, kind: str) -> bool | None:
        """Return True if a value reaches the goal; None without a goal."""
        goal = self.goal_on(kind)
        if goal is None:
            return None
        return value >= goal if self.is_floor else value <= goal


@dataclass(frozen=True)
class Measured:
    """A value in its row's unit, with a note that explains it."""

    value: float
    note: str = ""


@dataclass(frozen=True)
class Missing:
    """The reason why a figure could not be taken."""

    why: str


ROWS = (
    Row("accept", "POST /runs accepted, 1 client, p50 / no-op POST", 10, "×", 14),
    Row("rate", "the same, 16 clients, rate / no-op's rate", 0.08, "×", 0.06, is_floor=True),
    Row("tail", "p99 / p50 at 16 clients", 4, "×", 4),
    Row("errors", "errors at 64 clients, 2,000 posts", 0, "errors", 0),
    Row("replay", "replay p50 / create p50", 0.8, "×", 0.8),
    Row("newest", "newest 50 runs, many rows / 1,000 rows, p50", 1.3, "×", 1.3),
    Row("by_project", "first page of a project, likewise", 1.3, "×", 1.3),
    Row("by_status", "first page of a status, likewise", 1.3, "×", 1.3),
    Row("by_trigger", "first page of a trigger, likewise", 1.3, "×", 1.3),
    Row("by_branch", "first page of a branch, likewise", 1.3, "×", 1.3),
    Row("by_issue", "search for an issue's number, likewise", 1.3, "×", 1.3),
    Row("by_id", "search for how an old run's id begins, likewise", 1.3, "×", 1.3),
    Row("launch", "trigger → agent's first instruction, minus `git clone`", 60, "ms", 60),
    Row("sandbox", "the same start, `contained` minus `none`", 60, "ms", 60),
    Row("util_linux", "the same by util-linux, without bubblewrap", 60, "ms", 60),
    Row("told", "agent's exit → terminal status on an open page", 1, "s", 1),
    Row("fan_out", "one change → last of 100 open pages, 50 cards, p95", 50, "ms"),
    Row("page", "page of 50 cards: server time, p50", 40, "ms"),
    Row("paint", "page of 50 cards: first paint in Chromium", 0.7, "s"),
    Row("bytes", "page of 50 cards: bytes with assets, compressed", 450, "KiB"),
    Row("sweep_idle", "sweep over 10,000 projects, nothing to do", 0.5, "s"),
    Row("sweep_busy", "sweep over 1,000 projects, 10 issues each", 1.5, "s"),
    Row("sweep_lag", "the loop blocked by a sweep, at most", 50, "ms"),
    Row("idle_pages", "idle CPU, 100 pages open", 1.5, "%"),
    Row("idle", "idle CPU, no page open", 0.3, "%"),
    Row("memory", "memory with 10⁵ runs, resident", 160, "MB"),
    Row("flood_cpu", "20 live runs at 1 MB/s, watched: server CPU", 60, "%"),
    Row("flood_memory", "the same: memory growth in 10 minutes", 30, "MB"),
    Row("start", "second start, 10⁵ runs → first page", 1.5, "s"),
    Row("first_answer", "`runyard runs list`: command → first output", 0.3, "s"),
    Row("first_word", "`runyard --help`: first output / Python's own", 15, "×"),
)
KNOWN = frozenset(row.key for row in ROWS)
Found = dict[str, Measured | Missing]


class Results:
    """The newest value of each figure on each kind of database, kept in a JSON file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._found: dict[str, Found] = {kind: {} for kind in KINDS}
        if file.exists():
            self._read(json.loads(file.read_text()))

    def keep(self, measured: str, found: Found, machine: dict[str, Any]) -> None:
        """Replace older values with newer ones, and write the file."""
        self._found[measured] |= found
        self._file.parent.mkdir(exist_ok=True)
        figures = [
            asdict(row)
            | {one: self._as_plain(row, one) for one in KINDS if self._as_plain(row, one)}
            for row in ROWS
        ]
        told = {"machine": machine, "figures": figures}
        self._file.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")

    def render(self) -> str:
        """Return the table as Markdown that is also readable on a terminal."""
        head = ("figure", "SQLite", "goal", "", "PostgreSQL", "goal", "", "note")
        lines = [head, *(self._line(row) for row in ROWS)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
        lines.insert(1, tuple("-" * width for width in widths))
        return "\n".join(_pad(line, widths) for line in lines)

    def missed(self, kind: str) -> list[str]:
        """Describe each figure that misses its goal or could not be taken."""
        told = []
        for row in ROWS:
            one = self._found[kind].get(row.key)
            if isinstance(one, Missing):
                told.append(f"{row.name}: {one.why}")
            elif one is not None and row.is_met(one.value, kind) is False:
                told.append(f"{row.name}: {one.value:.3g} {row.unit}")
        return told

    def _read(self, told: dict[str, Any]) -> None:
        for figure in told["figures"]:
            for kind in KINDS:
                one = figure.get(kind)
                if one is not None and figure["key"] in KNOWN:
                    value, note = one["value"], one["note"]
                    kept = Missing(note) if value is None else Measured(value, note)
                    self._found[kind][figure["key"]] = kept

    def _as_plain(self, row: Row, kind: str) -> dict[str, Any] | None:
        match self._found[kind].get(row.key):
            case Measured(value, note):
                return {"value": value, "is_met": row.is_met(value, kind), "note": note}
            case Missing(why):
                return {"value": None, "is_met": None, "note": why}
            case None:
                return None

    def _line(self, row: Row) -> tuple[str, ...]:
        cells = [cell for kind in KINDS for cell in self._cells(row, kind)]
        return (row.name, *cells, self._note(row))

    def _cells(self, row: Row, kind: str) -> tuple[str, str, str]:
        one, goal = self._found[kind].get(row.key), row.goal_on(kind)
        told = "" if goal is None else f"{'≥' if row.is_floor else '≤'} {goal:g} {row.unit}"
        if not isinstance(one, Measured):
            return ("-", told, "")
        mark = {True: "✓", False: "✗", None: ""}[row.is_met(one.value, kind)]
        return (f"{one.value:.3g} {row.unit}", told, mark)

    def _note(self, row: Row) -> str:
        notes = []
        for kind, name in zip(KINDS, ("SQLite", "PostgreSQL"), strict=True):
            one = self._found[kind].get(row.key)
            note = one.note if isinstance(one, Measured) else one.why if one else ""
            notes += [f"{name}: {note}"] if note else []
        told = {note.partition(": ")[2] for note in notes}
        return told.pop() if len(told) == 1 and len(notes) == 2 else "; ".join(notes)


def _pad(line: Iterable[str], widths: list[int]) -> str:
    cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
    return f"| {' | '.join(cells)} |"
