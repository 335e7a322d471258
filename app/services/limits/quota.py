"""A person's sliding windows: the rule of accepted runs, and places in a window of any kind."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
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
from app.services.limits.counters import Counting
from app.services.ports import Charge, Standing


@dataclass(frozen=True)
class Window:
    """How a person stands: places used of a limit, and when the oldest leaves the window.

    `free_at` is when what was asked for will fit, None where it does now.
    """

    limit: int
    used: int
    seconds: int
    reset_at: datetime | None
    free_at: datetime | None

    @property
    def remaining(self) -> int:
        """Places that may still be taken now."""
        return max(0, self.limit - self.used)

    def retry_after(self, now: datetime) -> int | None:
        """Whole seconds until there is room, rounded up; None where there is now."""
        if self.free_at is None:
            return None
        return max(1, math.ceil((self.free_at - now).total_seconds()))


class Rule(Protocol):
    """What a window of one kind holds."""

    def window(self, session: Session, person_id: str, now: datetime, items: int = 1) -> Window:
        """How a person stands who asks for so many places.

        Exact when read in the transaction that takes them.
        """
        ...


@dataclass(frozen=True)
class Quota:
    """The rule: at most `limit` accepted runs in any `seconds`."""

    limit: int
    seconds: int

    def window(self, session: Session, person_id: str, now: datetime, items: int = 1) -> Window:
        """How a person stands who asks for one run."""
        used, first = charged_since(session, person_id, now - timedelta(seconds=self.seconds))
        reset_at = first + timedelta(seconds=self.seconds) if first else None
        free_at = reset_at if used + items > self.limit else None
        return Window(self.limit, used, self.seconds, reset_at, free_at)


def refusal_of(window: Window, now: datetime, counted: Counted = Counted.RUNS) -> RateLimited:
    """The refusal where a window has no room, saying whose limit it is."""
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
    """A charge's places in its person's window, from before its transaction until after it."""

    def __init__(
        self,
        rule: Rule,
        person_id: str,
        items: int,
        now: datetime,
        full: Window | None,
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
        """Why there is none, where that is certain without waiting for the database's lock."""
        return refusal_of(self._full, self._now, self._counted) if self._full else None

    def charge(self, session: Session) -> None:
        """Refuse where the table is full, read in the transaction itself. Raises RateLimited."""
        window = self._rule.window(session, self._person_id, self._now, self._items)
        self.used = window.used
        if window.free_at is not None:
            raise refusal_of(window, self._now, self._counted)

    def keep(self) -> None:
        """What was charged has been accepted."""
        self.is_kept = True


class FreePlace:
    """What a run has that is charged to nobody."""

    refusal: RateLimited | None = None

    def charge(self, session: Session) -> None:
        """Nothing is asked and nothing counted."""

    def keep(self) -> None:
        """Nothing was taken."""


class Places:
    """Gives out places of one kind: counters answer first where there are any, the table decides.

    What is charged as one is charged whole or not at all.
    """

    def __init__(self, rule: Rule, counted: Counted, stores: Stores, counting: Counting) -> None:
        self._rule = rule
        self._counted = counted
        self._stores = stores
        self._counting = counting

    @contextmanager
    def place(
        self, person_id: str | None, id_: str, now: datetime, items: int = 1
    ) -> Iterator[Place | FreePlace]:
        """Places that are given back unless they are kept; free where nobody is charged."""
        if person_id is None:
            yield FreePlace()
            return
        charge = Charge(self._counted, id_, items)
        standing = self._counting.take(person_id, charge)
        if standing is None:
            yield Place(self._rule, person_id, items, now, None, self._counted)
            return
        full = None if standing.taken else self._full_window(person_id, items, now)
        place = Place(self._rule, person_id, items, now, full, self._counted)
        try:
            yield place
        finally:
            if standing.taken and not place.is_kept:
                self._counting.give_back(person_id, charge)
            if _has_strayed(standing, place):
                self._counting.restore(person_id, self._counted, now)

    def window(self, person_id: str, now: datetime) -> Window:
        """How a person stands who asks for one place."""
        with self._stores.looking() as session:
            return self._rule.window(session, person_id, now)

    def _full_window(self, person_id: str, items: int, now: datetime) -> Window | None:
        with self._stores.looking() as session:
            window = self._rule.window(session, person_id, now, items)
        return window if window.free_at else None


def _has_strayed(standing: Standing, place: Place) -> bool:
    """True where the counters knew less than the table, or refused what the table took."""
    if place.used is None:
        return False
    return standing.used < place.used or (place.is_kept and not standing.taken)


@dataclass(frozen=True)
class BatchQuota:
    """The rule: at most `limit` items of batches in any `seconds`, charged when one is made."""

    ledger: BatchLedger
    limit: int
    seconds: int

    def window(self, session: Session, person_id: str, now: datetime, items: int = 1) -> Window:
        """How a person stands who asks for a batch of so many items."""
        spent = self.ledger.spent(session, person_id, now - timedelta(seconds=self.seconds))
        reset_at = spent[0].at + timedelta(seconds=self.seconds) if spent else None
        free_at = room_at(spent, items, self.limit, self.seconds)
        used = sum(one.items for one in spent)
        return Window(self.limit, used, self.seconds, reset_at, free_at)


def room_at(spent: Sequence[Spent], items: int, limit: int, seconds: int) -> datetime | None:
    """When so many items will fit, None where they do now; `spent` is oldest first."""
    used = sum(one.items for one in spent)
    if used + items <= limit:
        return None
    for one in spent:
        used -= one.items
        if used + items <= limit:
            return one.at + timedelta(seconds=seconds)
    raise ValueError("more items than the window ever holds")
