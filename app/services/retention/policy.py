"""Retention policy: a removal is shown for an hour first, is noted once, and disturbs no work."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from app.domain.formatting import size_words
from app.records.runs.run_ledger import RunLedger
from app.records.tables import Run
from app.services.concurrency import Locks

GB = 1000**3
SOON = timedelta(seconds=10)
SHOWN_FOR = timedelta(hours=1)


class Because(StrEnum):
    """Reason for a removal."""

    AGE = "age"
    SIZE = "size"


@dataclass(frozen=True)
class Terms:
    """Retention limits: age in days and total size in GB; 0 means no limit."""

    keep_days: int
    keep_gb: float

    def verdict(self, ended_at: datetime, kept: int, now: datetime) -> Because | None:
        """Return why a run's data is removed while `kept` bytes are kept, None if it stays."""
        if self.keep_days and ended_at <= now - timedelta(days=self.keep_days):
            return Because.AGE
        return Because.SIZE if self.keep_gb and kept > self.keep_gb * GB else None

    def comes_of_age(self, oldest: datetime | None) -> datetime | None:
        """Return when data of a run that ended at `oldest` reaches the age limit, or None."""
        return oldest + timedelta(days=self.keep_days) if oldest and self.keep_days else None

    def sentence(self, what: str, because: Because) -> str:
        """Return the line for the run's timeline."""
        if because is Because.AGE:
            return f"The {what} was removed after {self.keep_days} days."
        return f"The {what} was removed to stay within {size_words(int(self.keep_gb * GB))}."


@dataclass(frozen=True)
class PendingRemoval:
    """Something to be removed: its run, size in bytes, the run's end (UTC), and the reason.

    `goes_at` (UTC) is the earliest time of removal, None until it is shown.
    """

    run_id: str
    ended_at: datetime
    bytes: int
    because: Because
    goes_at: datetime | None = None


class RemovalNotices:
    """Start of each removal's notice; kept in memory, so a restart begins the hour again."""

    def __init__(self) -> None:
        self._since: dict[str, datetime] = {}

    def show(self, leaving: Iterable[PendingRemoval], now: datetime) -> tuple[PendingRemoval, ...]:
        """Show exactly these removals. Return them with `goes_at` set."""
        some = tuple(leaving)
        self._since = {one.run_id: self._since.get(one.run_id, now) for one in some}
        return tuple(replace(one, goes_at=self._since[one.run_id] + SHOWN_FOR) for one in some)


def are_due(leaving: Iterable[PendingRemoval], now: datetime) -> list[PendingRemoval]:
    """Return those that were shown long enough."""
    return [one for one in leaving if one.goes_at is not None and one.goes_at <= now]


def next_to_go(leaving: Iterable[PendingRemoval], now: datetime) -> datetime | None:
    """Return when the first of those not yet due becomes due, None if there is none."""
    return min((one.goes_at for one in leaving if one.goes_at and one.goes_at > now), default=None)


@contextmanager
def holding_work(locks: Locks, run: Run) -> Generator[bool]:
    """Hold a run and its branch; yield False if either is locked: the next round tries again."""
    branch = f"branch {run.project_id} {run.work_branch}"
    with locks.holding(branch, wait=False) as is_free:
        if not is_free:
            yield False
            return
        with locks.holding(run.id, wait=False) as is_ours:
            yield is_ours


@dataclass(frozen=True)
class Removed:
    """A kind of removed data: the kind of its timeline line, and its name for people."""

    kind: str
    name: str

    def say(self, runs: RunLedger, terms: Terms, one: PendingRemoval, now: datetime) -> None:
        """Append the removal to the run's timeline, once and before it happens."""
        # the line exists already if a crash came between it and the removal
        if any(line.kind == self.kind for line in runs.timeline(one.run_id)):
            return
        data = {"bytes": one.bytes, "because": one.because.value}
        runs.append_event_once(
            one.run_id, now, self.kind, terms.sentence(self.name, one.because), **data
        )
