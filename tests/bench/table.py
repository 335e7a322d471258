"""The goals (from the table of quality), the measured figures, and the table of both."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tests.bench.machine import QUICK_MS

SQLITE, POSTGRESQL = KINDS = ("sqlite", "postgresql")
MET, MISSED, BUSY = "✓", "✗", "busy machine"


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

    @property
    def is_absolute(self) -> bool:
        """True for a time, which a busy machine makes longer; False for a ratio."""
        return self.unit in ("ms", "s")

    def is_met(self, one: Measured, kind: str) -> bool | None:
        """Return True if a figure reaches the goal; None if nothing can be said."""
        goal = self.goal_on(kind)
        if goal is None or (self.is_absolute and not one.was_calm):
            return None
        return one.value >= goal if self.is_floor else one.value <= goal


@dataclass(frozen=True)
class Measured:
    """A value in its row's unit, with a note that explains it.

    `python_ms` is what Python's own start took beside it, None if that is not known.
    """

    value: float
    note: str = ""
    python_ms: float | None = None

    @property
    def was_calm(self) -> bool:
        """True if the machine was calm enough to judge a time."""
        return self.python_ms is not None and self.python_ms <= QUICK_MS


@dataclass(frozen=True)
class Missing:
    """The reason why a figure could not be taken."""

    why: str


ROWS = (
    Row("accept", "POST /runs accepted, 1 client, p50 / no-op POST", 10, "×", 14),
    Row("rate", "the same, 16 clients, rate / no-op's rate", 0.04, "×", 0.03, is_floor=True),
    Row("tail", "p99 / p50 at 16 clients", 4, "×", 4),
    Row("errors", "errors at 64 clients, 2,000 posts", 0, "errors", 0),
    Row("replay", "replay p50 / create p50", 0.8, "×", 0.8),
    Row("accept_cpu", "server's processor time per accept, until the answer", 3, "ms", 3),
    Row("accept_cpu_all", "the same, with everything it sets off", 5, "ms", 5),
    Row("deep_accept", "accept p50, 10,000 runs waiting / none", 1.2, "×", 1.2),
    Row("deep_rate", "the same, 16 clients, time per accept", 1.2, "×", 1.2),
    Row("deep_cpu", "the same, processor time until the answer", 1.2, "×", 1.2),
    Row("deep_cpu_all", "the same, with everything it sets off", 1.2, "×", 1.2),
    Row("newest", "newest 50 runs, many rows / 1,000 rows, p50", 1.3, "×", 1.3),
    Row("board", "the board of 1,000 issues: server time, p50", 100, "ms", 100),
    Row("newest_time", "newest 50 runs, many rows: server time, p50", 3, "ms", 3),
    Row("by_project", "first page of a project, likewise", 1.3, "×", 1.3),
    Row("by_status", "first page of a status, likewise", 1.3, "×", 1.3),
    Row("by_trigger", "first page of a trigger, likewise", 1.3, "×", 1.3),
    Row("by_branch", "first page of a branch, likewise", 1.3, "×", 1.3),
    Row("by_issue", "search for an issue's number, likewise", 1.3, "×", 1.3),
    Row("by_id", "search for how an old run's id begins, likewise", 1.3, "×", 1.3),
    Row("people_page", "the cards of 50 projects, 200 people / one operator, p50", 1.1, "×", 1.1),
    Row("people_audit", "page of the audit, 10⁵ rows / 1,000, likewise", 1.1, "×", 1.1),
    Row("people_list", "list of the newest 50 runs, 200 people / one operator", 1.1, "×", 1.1),
    Row("people_accept", "accepting a run, 200 people / one operator", 1.1, "×", 1.1),
    Row("launch", "trigger → agent's first instruction, minus `git clone`", 60, "ms", 60),
    Row("sandbox", "the same start, `contained` minus `none`", 60, "ms", 60),
    Row("util_linux", "the same by util-linux, without bubblewrap", 60, "ms", 60),
    Row("told", "agent's exit → terminal status on an open page", 1, "s", 1),
    Row("fan_out", "one change → last of 100 open pages, 50 cards, p95", 80, "ms"),
    Row("page", "page of 50 cards: server time, p50", 40, "ms"),
    Row("paint", "page of 50 cards: first paint in Chromium", 0.4, "s"),
    Row("bytes", "page of 50 cards: bytes with assets, compressed", 450, "KiB"),
    Row("inbox", "inbox with 500 items: server time, p50", 60, "ms"),
    Row("inbox_paint", "inbox with 500 items: first paint in Chromium", 0.6, "s"),
    Row("diff", "diff of 10,000 lines, 120 files: to its first lines", 1, "s"),
    Row("sweep_idle", "sweep over 10,000 projects, nothing to do", 0.5, "s"),
    Row("sweep_busy", "sweep over 1,000 projects, 10 issues each", 1.5, "s"),
    Row("sweep_lag", "the loop blocked by a sweep, at most", 50, "ms"),
    Row("github_hour", "200 projects at GitHub, nothing changes: an hour", 1000, "requests"),
    Row("idle_pages", "idle CPU, 100 pages open", 1.5, "%"),
    Row("idle", "idle CPU, no page open", 0.3, "%"),
    Row("memory", "memory with 10⁵ runs, resident", 160, "MB"),
    Row("flood_cpu", "20 live runs at 1 MB/s, watched: server CPU", 60, "%"),
    Row("flood_memory", "the same: memory growth in 10 minutes", 30, "MB"),
    Row("start", "second start, 10⁵ runs → first page", 1.5, "s"),
    Row("deep_start", "second start, 10,000 runs waiting → first page", 1.5, "s", 1.5),
    Row("first_answer", "`runyard runs list`: command → first output", 0.3, "s"),
    Row("first_word", "`runyard --help`: first output / Python's own", 15, "×"),
)
KNOWN = frozenset(row.key for row in ROWS)
Found = dict[str, Measured | Missing]


def has_absolute(keys: Collection[str]) -> bool:
    """Return True if one of these rows is a time."""
    return any(row.is_absolute for row in ROWS if row.key in keys)


def note_start(one: Measured | Missing, python_ms: float) -> Measured | Missing:
    """Note beside a figure what Python's own start took."""
    return replace(one, python_ms=python_ms) if isinstance(one, Measured) else one


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
        """Describe each figure that misses its goal, or could not be taken or judged."""
        told = []
        for row in ROWS:
            one = self._found[kind].get(row.key)
            if isinstance(one, Missing):
                told.append(f"{row.name}: {one.why}")
            elif one is not None and _mark(row, one, kind) in (MISSED, BUSY):
                told.append(f"{row.name}: {one.value:.3g} {row.unit} {_mark(row, one, kind)}")
        return told

    def _read(self, told: dict[str, Any]) -> None:
        for figure in told["figures"]:
            for kind in KINDS:
                one = figure.get(kind)
                if one is not None and figure["key"] in KNOWN:
                    value, note = one["value"], one["note"]
                    python_ms = one.get("python_ms")
                    kept = Missing(note) if value is None else Measured(value, note, python_ms)
                    self._found[kind][figure["key"]] = kept

    def _as_plain(self, row: Row, kind: str) -> dict[str, Any] | None:
        match self._found[kind].get(row.key):
            case Measured() as one:
                return {**asdict(one), "is_met": row.is_met(one, kind)}
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
        return (f"{one.value:.3g} {row.unit}", told, _mark(row, one, kind))

    def _note(self, row: Row) -> str:
        notes = []
        for kind, name in zip(KINDS, ("SQLite", "PostgreSQL"), strict=True):
            one = self._found[kind].get(row.key)
            note = _note_of(row, one) if isinstance(one, Measured) else one.why if one else ""
            notes += [f"{name}: {note}"] if note else []
        told = {note.partition(": ")[2] for note in notes}
        return told.pop() if len(told) == 1 and len(notes) == 2 else "; ".join(notes)


def _mark(row: Row, one: Measured, kind: str) -> str:
    is_met = row.is_met(one, kind)
    if is_met is None:
        return BUSY if _was_busy(row, one) else ""
    return MET if is_met else MISSED


def _was_busy(row: Row, one: Measured) -> bool:
    return row.is_absolute and one.python_ms is not None and not one.was_calm


def _note_of(row: Row, one: Measured) -> str:
    beside = f"`python -c 'print()'`: {one.python_ms:.0f} ms" if _was_busy(row, one) else ""
    return "; ".join(note for note in (one.note, beside) if note)


def _pad(line: Iterable[str], widths: list[int]) -> str:
    cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
    return f"| {' | '.join(cells)} |"
