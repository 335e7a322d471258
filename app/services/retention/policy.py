"""What goes is shown for an hour first, and said once: logs and working copies alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from app.domain.formatting import size_words
from app.records.runs.run_ledger import RunLedger

GB = 1000**3
SOON = timedelta(seconds=10)


class Because(StrEnum):
    """Why something goes."""

    AGE = "age"
    SIZE = "size"


@dataclass(frozen=True)
class Terms:
    """How long (days) and how much (GB) is kept; 0: for ever, and whatever it is."""

    keep_days: int
    keep_gb: float

    def verdict(self, ended_at: datetime, kept: int, now: datetime) -> Because | None:
        """Why what a run has left goes, while so many bytes are kept; None where it stays."""
        if self.keep_days and ended_at <= now - timedelta(days=self.keep_days):
            return Because.AGE
        return Because.SIZE if self.keep_gb and kept > self.keep_gb * GB else None

    def comes_of_age(self, oldest: datetime | None) -> datetime | None:
        """When what a run has left goes, if nothing else makes it go before."""
        return oldest + timedelta(days=self.keep_days) if oldest and self.keep_days else None

    def sentence(self, what: str, because: Because) -> str:
        """What the run's page says afterwards."""
        if because is Because.AGE:
            return f"The {what} was removed after {self.keep_days} days."
        return f"The {what} was removed to stay within {size_words(int(self.keep_gb * GB))}."


@dataclass(frozen=True)
class Leaving:
    """Something that goes: whose, of what size in bytes, when the run ended (UTC), and why.

    `goes_at` is from when on, None before it is shown to go.
    """

    run_id: str
    ended_at: datetime
    bytes: int
    because: Because
    goes_at: datetime | None = None


SHOWN_FOR = timedelta(hours=1)


class Showing:
    """Since when each thing is shown to go: by this server, since it was started."""

    def __init__(self) -> None:
        self._since: dict[str, datetime] = {}

    def show(self, leaving: Iterable[Leaving], now: datetime) -> tuple[Leaving, ...]:
        """Show these, and nothing else any more; each with the moment from which it goes."""
        some = tuple(leaving)
        self._since = {one.run_id: self._since.get(one.run_id, now) for one in some}
        return tuple(replace(one, goes_at=self._since[one.run_id] + SHOWN_FOR) for one in some)


def are_due(leaving: Iterable[Leaving], now: datetime) -> list[Leaving]:
    """Those that were shown long enough."""
    return [one for one in leaving if one.goes_at is not None and one.goes_at <= now]


def next_to_go(leaving: Iterable[Leaving], now: datetime) -> datetime | None:
    """When the first of those goes that were not shown long enough yet."""
    return min((one.goes_at for one in leaving if one.goes_at and one.goes_at > now), default=None)


@dataclass(frozen=True)
class Removed:
    """What of a run is removed: the kind of its line, and what people call it."""

    kind: str
    name: str

    def say(self, runs: RunLedger, terms: Terms, one: Leaving, now: datetime) -> None:
        """Write in a run's timeline that it goes, before it does, and once."""
        # whoever is killed in between comes here again
        if any(line.kind == self.kind for line in runs.timeline(one.run_id)):
            return
        data = {"bytes": one.bytes, "because": one.because.value}
        runs.tell_once(one.run_id, now, self.kind, terms.sentence(self.name, one.because), **data)
