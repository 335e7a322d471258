"""What is to hold (quality's table), what was measured, and how both are printed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

LATER = "later"


@dataclass(frozen=True)
class Row:
    """One figure: its goal on SQLite and on PostgreSQL (None: there is none)."""

    key: str
    name: str
    goal: float
    unit: str
    goal_postgresql: float | None = None
    is_floor: bool = False
    why_not: str = LATER

    def is_met(self, value: float) -> bool:
        """True where a value reaches the goal."""
        return value >= self.goal if self.is_floor else value <= self.goal

    def told(self, goal: float | None) -> str:
        """The goal as people read it."""
        return "" if goal is None else f"{'≥' if self.is_floor else '≤'} {goal:g} {self.unit}"


@dataclass(frozen=True)
class Measured:
    """A value in its row's unit, and what has to be known to read it."""

    value: float
    note: str = ""


@dataclass(frozen=True)
class Missing:
    """Why a figure could not be taken."""

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
    Row("launch", "trigger → agent's first instruction, minus `git clone`", 60, "ms", 60),
    Row("told", "agent's exit → terminal status told on /events", 1, "s", 1),
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
    Row("flood_memory", "the same: memory growth over 10 minutes", 30, "MB"),
    Row("start", "second start, 10⁵ runs → first page", 1.5, "s"),
    Row("first_answer", "`runyard runs list`: command → first output", 0.3, "s"),
    Row("first_word", "`runyard --help`: first output / Python's own", 15, "×"),
)
KNOWN = frozenset(row.key for row in ROWS)
Found = dict[str, Measured | Missing]


def render(found: Found) -> str:
    """The table as Markdown that is as readable on a terminal."""
    head = ("figure", "SQLite", "goal", "", "PostgreSQL", "goal", "note")
    lines = [head, *(_line(row, found.get(row.key)) for row in ROWS)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join(_pad(line, widths) for line in lines)


def as_json(found: Found, machine: dict[str, Any]) -> dict[str, Any]:
    """The same as plain values."""
    figures = []
    for row in ROWS:
        one = found.get(row.key)
        value = one.value if isinstance(one, Measured) else None
        verdict = None if value is None else row.is_met(value)
        figures.append(
            {**asdict(row), "sqlite": value, "is_met": verdict, "postgresql": None}
            | {"note": _note(row, one)}
        )
    return {"machine": machine, "figures": figures}


def missed(found: Found) -> list[str]:
    """The names of the figures that do not reach their goals."""
    return [
        row.name
        for row in ROWS
        if isinstance(one := found.get(row.key), Measured) and not row.is_met(one.value)
    ]


def _line(row: Row, one: Measured | Missing | None) -> tuple[str, ...]:
    value, mark = "-", ""
    if isinstance(one, Measured):
        value = f"{one.value:.3g} {row.unit}"
        mark = "✓" if row.is_met(one.value) else "✗"
    postgresql = "" if row.goal_postgresql is None else "- (later)"
    goals = row.told(row.goal), row.told(row.goal_postgresql)
    return (row.name, value, goals[0], mark, postgresql, goals[1], _note(row, one))


def _note(row: Row, one: Measured | Missing | None) -> str:
    if isinstance(one, Measured):
        return one.note
    return one.why if isinstance(one, Missing) else row.why_not


def _pad(line: Iterable[str], widths: list[int]) -> str:
    cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
    return f"| {' | '.join(cells)} |"
