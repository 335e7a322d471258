"""A person's sliding windows: quotas of runs and of batch items, and charging places in them."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlmodel import Session

from app.domain.quota import SET_BY, Counted, own_limit
from app.errors import RateLimited
from app.records.batches.batch_ledger import BatchLedger, Spent
from app.records.runs.run_ledger import charged_since
from app.records.stores.routing import Stores
from app.services.limits.counters import CounterService
from app.services.ports import Charge, WindowState


@dataclass(frozen=True)
class QuotaWindow:
    """State of a person's window: places used of `limit` in `seconds`.

    `reset_at` (UTC) is when the oldest place leaves the window; `free_at` (UTC) is when the
    requested places will fit, None if they fit now.
    """

    limit: int
    used: int
    seconds: int
    reset_at: datetime | None
    free_at: datetime | None

    @property
    def remaining(self) -> int:
        """Places that can be taken now."""
        return max(0, self.limit - self.used)

    def retry_after(self, now: datetime) -> int | None:
        """Return whole seconds until there is room, rounded up; None if there is room now."""
        if self.free_at is None:
            return None
        return max(1, math.ceil((self.free_at - now).total_seconds()))


class Rule(Protocol):
    """Quota of one kind of window: at most `limit` places in any `seconds`."""

    @property
    def limit(self) -> int:
        """Places of the window."""
        ...

    @property
    def seconds(self) -> int:
        """Length of the window."""
        ...

    def window(
        self, session: Session, person_id: str, now: datetime, items: int = 1
    ) -> QuotaWindow:
        """Return the state of a person's window for a request of `items` places.

        Exact when read in the transaction that takes them.
        """
        ...


@dataclass(frozen=True)
class Quota:
    """Quota of at most `limit` accepted runs per person in any `seconds`."""

    limit: int
    seconds: int

    def window(
        self, session: Session, person_id: str, now: datetime, items: int = 1
    ) -> QuotaWindow:
        """Return the state of a person's window for a request of `items` runs."""
        used, first = charged_since(session, person_id, now - timedelta(seconds=self.seconds))
        reset_at = first + timedelta(seconds=self.seconds) if first else None
        free_at = reset_at if used + items > self.limit else None
        return QuotaWindow(self.limit, used, self.seconds, reset_at, free_at)


def refusal_of(window: QuotaWindow, now: datetime, counted: Counted = Counted.RUNS) -> RateLimited:
    """Return the refusal for a full window: `retry_after` in seconds, `reset_at` in UTC."""
    after = window.retry_after(now) or 1
    whose = own_limit(counted, window.limit, window.seconds)
    return RateLimited(
        f"Rate limit reached. Retry in {after} s.",
        limit=window.limit,
        remaining=window.remaining,
        own_limit=f"{whose} ({SET_BY[counted]})",
        reset_at=window.free_at,
        retry_after=after,
    )


class Place:
    """Places of one charge, taken before its transaction and kept or released after it."""

    def __init__(
        self,
        rule: Rule,
        person_id: str,
        items: int,
        now: datetime,
        full: QuotaWindow | None,
        counted: Counted,
    ) -> None:
        self._counted = counted
        self._rule = rule
        self._person_id = person_id
        self._items = items
        self._now = now
        self._full = full
        self.used: int | None = None
        self.is_kept = False

    @property
    def refusal(self) -> RateLimited | None:
        """Refusal that is certain without waiting for the database lock, or None."""
        return refusal_of(self._full, self._now, self._counted) if self._full else None

    @property
    def begins_at(self) -> datetime | None:
        """Time (UTC) after which places count."""
        return self._now - timedelta(seconds=self._rule.seconds)

    def charge_counted(self, used: int, session: Session) -> None:
        """Do the same as `charge` with the places that the table was found to hold."""
        self.used = used
        if used + self._items > self._rule.limit:
            self.charge(session)

    def charge(self, session: Session) -> None:
        """Check the table inside the transaction. Raises RateLimited if the window is full."""
        window = self._rule.window(session, self._person_id, self._now, self._items)
        self.used = window.used
        if window.free_at is not None:
            raise refusal_of(window, self._now, self._counted)

    def keep(self) -> None:
        """Keep the places: the charge was accepted."""
        self.is_kept = True


class FreePlace:
    """Stand-in for Place when nobody is charged."""

    refusal: RateLimited | None = None
    begins_at: datetime | None = None

    def charge_counted(self, used: int, session: Session) -> None:
        """Do nothing."""

    def charge(self, session: Session) -> None:
        """Do nothing."""

    def keep(self) -> None:
        """Do nothing."""


class Places:
    """Hands out places of one kind: counters, if any, are read first; the table decides.

    A charge takes all of its places or none.
    """

    def __init__(
        self, rule: Rule, counted: Counted, stores: Stores, counters: CounterService
    ) -> None:
        self._rule = rule
        self._counted = counted
        self._stores = stores
        self._counters = counters

    @contextmanager
    def place(
        self, person_id: str | None, id_: str, now: datetime, items: int = 1
    ) -> Generator[Place | FreePlace]:
        """Take places, released on exit unless kept. Yield a FreePlace if nobody is charged."""
        if person_id is None:
            yield FreePlace()
            return
        charge = Charge(self._counted, id_, items)
        standing = self._counters.take(person_id, charge)
        if standing is None:
            yield Place(self._rule, person_id, items, now, None, self._counted)
            return
        full = None if standing.taken else self._full_window(person_id, items, now)
        place = Place(self._rule, person_id, items, now, full, self._counted)
        try:
            yield place
        finally:
            if standing.taken and not place.is_kept:
                self._counters.release(person_id, charge)
            if _has_strayed(standing, place):
                self._counters.restore(person_id, self._counted, now)

    def window(self, person_id: str, now: datetime) -> QuotaWindow:
        """Return the state of a person's window for a request of one place."""
        with self._stores.looking() as session:
            return self._rule.window(session, person_id, now)

    def _full_window(self, person_id: str, items: int, now: datetime) -> QuotaWindow | None:
        with self._stores.looking() as session:
            window = self._rule.window(session, person_id, now, items)
        return window if window.free_at else None


def _has_strayed(standing: WindowState, place: Place) -> bool:
    """Return True if the counters knew less than the table, or refused what it accepted."""
    if place.used is None:
        return False
    return standing.used < place.used or (place.is_kept and not standing.taken)


@dataclass(frozen=True)
class BatchQuota:
    """Quota of at most `limit` batch items per person in any `seconds`, charged at creation."""

    ledger: BatchLedger
    limit: int
    seconds: int

    def window(
        self, session: Session, person_id: str, now: datetime, items: int = 1
    ) -> QuotaWindow:
        """Return the state of a person's window for a batch of `items` items."""
        spent = self.ledger.spent(session, person_id, now - timedelta(seconds=self.seconds))
        reset_at = spent[0].at + timedelta(seconds=self.seconds) if spent else None
        free_at = room_at(spent, items, self.limit, self.seconds)
        used = sum(one.items for one in spent)
        return QuotaWindow(self.limit, used, self.seconds, reset_at, free_at)


def room_at(spent: Sequence[Spent], items: int, limit: int, seconds: int) -> datetime | None:
    """Return when `items` more will fit (UTC), None if they fit now; `spent` is oldest first.

    Raises ValueError if the window never holds that many.
    """
    used = sum(one.items for one in spent)
    if used + items <= limit:
        return None
    for one in spent:
        used -= one.items
        if used + items <= limit:
            return one.at + timedelta(seconds=seconds)
    raise ValueError("more items than the window ever holds")
