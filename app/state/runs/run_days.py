"""A list of runs by day, in the reader's time zone, with what each day came to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.api.schemas import RunItem, RunsTotal
from app.domain.agents.reports import cost_words
from app.domain.lifecycle import phase_of
from app.domain.words import Cause, Phase, Status
from app.state.runs.run_board import BoardRow, RunBoard

DELIVERED = frozenset({Cause.DELIVERED, Cause.DELIVERED_RED})
FAILED = frozenset({Status.DIED, Status.TIMED_OUT, Status.NOT_STARTED, Status.LIMITED})
ENDED_OTHERWISE = frozenset({Status.STOPPED, Status.EXPIRED})
MAX_ZONE = 60


@dataclass(frozen=True)
class Sums:
    """Counts of runs by outcome; the cost in US dollars covers those that reported one."""

    delivered: int = 0
    finished: int = 0
    failed: int = 0
    stopped: int = 0
    running: int = 0
    waiting: int = 0
    cost_usd: float | None = None

    def __add__(self, other: Sums) -> Sums:
        """Return the sum of both."""
        costs = [one.cost_usd for one in (self, other) if one.cost_usd is not None]
        return Sums(
            self.delivered + other.delivered,
            self.finished + other.finished,
            self.failed + other.failed,
            self.stopped + other.stopped,
            self.running + other.running,
            self.waiting + other.waiting,
            sum(costs) if costs else None,
        )

    @property
    def words(self) -> str:
        """The sums that are not zero: `31 delivered · 4 failed · 3 running · $44.10`."""
        counts = (
            (self.delivered, "delivered"),
            (self.finished, "without changes"),
            (self.failed, "failed"),
            (self.stopped, "stopped"),
            (self.running, "running"),
            (self.waiting, "waiting"),
        )
        parts = [f"{count:,} {word}" for count, word in counts if count]
        cost = [] if self.cost_usd is None else [cost_words(self.cost_usd)]
        return " · ".join([*parts, *cost])


def sums_of(status: Status, cause: Cause | None, cost_usd: float | None, count: int = 1) -> Sums:
    """Return what `count` runs that ended, wait or run like this come to."""
    one = Sums(cost_usd=cost_usd)
    if status is Status.SUCCEEDED:
        is_delivered = cause in DELIVERED
        return replace(one, delivered=count) if is_delivered else replace(one, finished=count)
    if status in FAILED:
        return replace(one, failed=count)
    if status in ENDED_OTHERWISE:
        return replace(one, stopped=count)
    is_live = phase_of(status) is Phase.LIVE
    return replace(one, running=count) if is_live else replace(one, waiting=count)


def sums_of_totals(totals: Iterable[RunsTotal]) -> Sums:
    """Return what runs come to that the server has added up."""
    each = (sums_of(one.status, one.cause, one.cost_usd, one.count) for one in totals)
    return sum(each, start=Sums())


@dataclass(frozen=True)
class Day:
    """One day of a list: its rows, top first."""

    on: date
    rows: list[BoardRow] = field(default_factory=list[BoardRow])

    @property
    def sums(self) -> Sums:
        """The sums of the runs among its rows."""
        runs = (row for row in self.rows if isinstance(row, RunItem))
        each = (sums_of(run.status, run.cause, run.usage.cost_usd) for run in runs)
        return sum(each, start=Sums())

    def words(self, today: date) -> str:
        """The heading: `Today, 22 November`; a day of another year has its year."""
        day = f"{self.on.day} {self.on:%B}"
        if self.on.year != today.year:
            day = f"{day} {self.on.year}"
        names = {today: "Today", today - timedelta(days=1): "Yesterday"}
        return f"{names.get(self.on, f'{self.on:%A}')}, {day}"


def days_of(rows: Sequence[BoardRow], zone: tzinfo) -> list[Day]:
    """Group rows, newest first, by the day on which they were created."""
    days: list[Day] = []
    for row in rows:
        day = made_at(row).astimezone(zone).date()
        if not days or (days[-1].on != day and isinstance(row, RunItem)):
            days.append(Day(day))
        days[-1].rows.append(row)
    return days


def made_at(row: BoardRow) -> datetime:
    """Return when a run was created, or its submit began."""
    return row.created_at if isinstance(row, RunItem) else row.began_at


def bounds_of(day: date, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return the beginning and the end of a day (UTC)."""
    begin, end = (datetime.combine(one, time(), zone) for one in (day, day + timedelta(days=1)))
    return begin.astimezone(UTC), end.astimezone(UTC)


def zone_of(name: str) -> tzinfo:
    """Return a time zone by its name, or UTC if there is none of that name."""
    try:
        return ZoneInfo(name) if 0 < len(name) <= MAX_ZONE else UTC
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return UTC


@dataclass(frozen=True)
class Beyond:
    """The part of a day that is on another page: the runs created between two moments (UTC)."""

    on: date
    after: datetime
    before: datetime


def parts_beyond(board: RunBoard, zone: tzinfo) -> list[Beyond]:
    """Return the parts of the first and the last day that a board's page leaves out."""
    runs = [row for row in board.rows() if isinstance(row, RunItem)]
    filters = board.filters
    if filters.is_by_cost or not runs:
        return []
    parts: list[Beyond] = []
    if board.prev_cursor is not None:
        newest = runs[0].created_at
        day = newest.astimezone(zone).date()
        parts.append(Beyond(day, newest, bounds_of(day, zone)[1]))
    if board.next_cursor is not None:
        oldest = runs[-1].created_at
        day = oldest.astimezone(zone).date()
        parts.append(Beyond(day, bounds_of(day, zone)[0] - timedelta(microseconds=1), oldest))
    after, before = filters.created_after, filters.created_before
    return [
        replace(
            part,
            after=max(part.after, after) if after else part.after,
            before=min(part.before, before) if before else part.before,
        )
        for part in parts
    ]
