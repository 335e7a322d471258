"""The sliding window of accepted runs per person, read from the runs themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from app.errors import RateLimited
from app.records.run_ledger import charged_since


@dataclass(frozen=True)
class Window:
    """How a person stands: runs used of a limit, and when the oldest leaves the window."""

    limit: int
    used: int
    seconds: int
    reset_at: datetime | None

    @property
    def remaining(self) -> int:
        """Runs that may still be started now."""
        return max(0, self.limit - self.used)

    def retry_after(self, now: datetime) -> int | None:
        """Whole seconds until one run may be started, rounded up; None where one may now."""
        if self.remaining or self.reset_at is None:
            return None
        return max(1, math.ceil((self.reset_at - now).total_seconds()))


@dataclass(frozen=True)
class Quota:
    """The rule: at most `limit` accepted runs in any `seconds`."""

    limit: int
    seconds: int

    def window(self, session: Session, person_id: str, now: datetime) -> Window:
        """How a person stands; exact when read in the transaction that adds a run."""
        used, first = charged_since(session, person_id, now - timedelta(seconds=self.seconds))
        reset_at = first + timedelta(seconds=self.seconds) if first else None
        return Window(self.limit, used, self.seconds, reset_at)

    def charge(self, session: Session, person_id: str, now: datetime) -> None:
        """Refuse where the window is full. Raises RateLimited."""
        window = self.window(session, person_id, now)
        if window.remaining:
            return
        after = window.retry_after(now) or 1
        raise RateLimited(
            f"Rate limit reached. Retry in {after} s.",
            limit=window.limit,
            remaining=0,
            reset_at=window.reset_at.isoformat().replace("+00:00", "Z")
            if window.reset_at
            else None,
            retry_after=after,
        )
