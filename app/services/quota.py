"""The sliding window of accepted runs per person, read from the runs themselves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from app.errors import RateLimited
from app.records.routing import Stores
from app.records.run_ledger import charged_since
from app.services.counting import Counting
from app.services.ports import Standing


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


def refusal_of(window: Window, now: datetime) -> RateLimited:
    """What somebody is told whose window is full."""
    after = window.retry_after(now) or 1
    return RateLimited(
        f"Rate limit reached. Retry in {after} s.",
        limit=window.limit,
        remaining=0,
        reset_at=window.reset_at,
        retry_after=after,
    )


class Place:
    """A run's place in its person's window, from before its transaction until after it."""

    def __init__(self, quota: Quota, person_id: str, now: datetime, full: Window | None) -> None:
        self._quota = quota
        self._person_id = person_id
        self._now = now
        self._full = full
        self.used: int | None = None
        self.is_kept = False

    @property
    def refusal(self) -> RateLimited | None:
        """Why there is none, where that is certain without waiting for the database's lock."""
        return refusal_of(self._full, self._now) if self._full else None

    def charge(self, session: Session) -> None:
        """Refuse where the table is full, read in the transaction itself. Raises RateLimited."""
        window = self._quota.window(session, self._person_id, self._now)
        self.used = window.used
        if not window.remaining:
            raise refusal_of(window, self._now)

    def keep(self) -> None:
        """The run has been accepted."""
        self.is_kept = True


class FreePlace:
    """What a run has that is charged to nobody."""

    refusal: RateLimited | None = None

    def charge(self, session: Session) -> None:
        """Nothing is asked and nothing counted."""

    def keep(self) -> None:
        """Nothing was taken."""


class Places:
    """Gives out places: the counters answer first where there are any, the table decides."""

    def __init__(self, quota: Quota, stores: Stores, counting: Counting) -> None:
        self._quota = quota
        self._stores = stores
        self._counting = counting

    @contextmanager
    def place(
        self, person_id: str | None, run_id: str, now: datetime
    ) -> Iterator[Place | FreePlace]:
        """A place that is given back unless it is kept; free where nobody is charged."""
        if person_id is None:
            yield FreePlace()
            return
        standing = self._counting.take(person_id, run_id)
        if standing is None:
            yield Place(self._quota, person_id, now, None)
            return
        full = None if standing.taken else self._full_window(person_id, now)
        place = Place(self._quota, person_id, now, full)
        try:
            yield place
        finally:
            if standing.taken and not place.is_kept:
                self._counting.give_back(person_id, run_id)
            if _has_strayed(standing, place):
                self._counting.restore(person_id, now)

    def _full_window(self, person_id: str, now: datetime) -> Window | None:
        with self._stores.looking() as session:
            window = self._quota.window(session, person_id, now)
        return None if window.remaining else window


def _has_strayed(standing: Standing, place: Place) -> bool:
    """True where the counters knew less than the table, or refused what the table took."""
    if place.used is None:
        return False
    return standing.used < place.used or (place.is_kept and not standing.taken)
