"""How long and how much is kept of runs that are over, and what goes by it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from app.domain.sizes import size_words

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
