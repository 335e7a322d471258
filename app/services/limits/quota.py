"""A person's sliding windows: quotas of runs and of batch items, and charging places in them."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sqlmodel import Session

from app.domain.quota import (
    Counted,
    LimitOf,
    QuotaLimit,
    SetLimits,
    no_places,
    told_limit,
)
from app.errors import NoPlaces, RateLimited
from app.records.batches.batch_ledger import BatchLedger, Spent
from app.records.people.quota_windows import Charges, charge_times, charges_of
from app.records.runs.run_ledger import charged_since
from app.records.stores.routing import Stores
from app.services.limits.counters import CounterService
from app.services.ports import Charge, WindowState

# the limits that an admin set for a person and their role, None if there are none
LimitsOf = Callable[[str], SetLimits | None]


class LimitSource(Protocol):
    """The limits of the people who have any, by person id and by what they count."""

    @property
    def limits(self) -> Mapping[str, Mapping[Counted, SetLimits]] | None:
        """The limits that are known without a look at the database, None if none are known."""
        ...

    def read_limits(self) -> Mapping[str, Mapping[Counted, SetLimits]]:
        """Return what the database holds."""
        ...


def limits_in(source: LimitSource, counted: Counted) -> LimitsOf:
    """Return how to find a person's limits of one kind; most people have none."""

    def of(person_id: str) -> SetLimits | None:
        known = source.limits
        if known is None:
            known = source.read_limits()
        its = known.get(person_id)
        return its[counted] if its else None

    return of


@dataclass(frozen=True)
class QuotaWindow:
    """State of a person's window: places used of `limit` in `seconds`.

    `reset_at` (UTC) is when the oldest place leaves the window; `free_at` (UTC) is when the
    requested places will fit, None if they fit now or never will.
    """

    limit: int
    used: int
    seconds: int
    reset_at: datetime | None
    free_at: datetime | None
    items: int = 1
    limit_of: LimitOf = LimitOf.SERVER

    @property
    def fits(self) -> bool:
        """True if the requested places can be taken now."""
        return self.used + self.items <= self.limit

    @property
    def remaining(self) -> int:
        """Places that can be taken now."""
        return max(0, self.limit - self.used)

    def retry_after(self, now: datetime) -> int | None:
        """Return whole seconds until there is room, rounded up; None if now or never."""
        if self.free_at is None:
            return None
        return max(1, math.ceil((self.free_at - now).total_seconds()))


class Rule(Protocol):
    """Quota of one kind of window: at most the places of a person's limit in any `seconds`."""

    @property
    def seconds(self) -> int:
        """Length of the window."""
        ...

    def limit_of(self, person_id: str) -> QuotaLimit:
        """Return the limit that holds for a person now."""
        ...

    def window(
        self, session: Session, person_id: str, now: datetime, limit: QuotaLimit, items: int = 1
    ) -> QuotaWindow:
        """Return the state of a person's window for a request of `items` places.

        Exact when read in the transaction that takes them.
        """
        ...


@dataclass(frozen=True)
class _PersonLimit:
    """The limit of each person in any `seconds`: `limit` where an admin set none."""

    limit: int
    seconds: int
    limits_of: LimitsOf

    def limit_of(self, person_id: str) -> QuotaLimit:
        """Return the limit that holds for a person now."""
        its = self.limits_of(person_id)
        return its.over(self.limit) if its else QuotaLimit(self.limit)


@dataclass(frozen=True)
class Quota(_PersonLimit):
    """Quota of accepted runs per person."""

    def window(
        self, session: Session, person_id: str, now: datetime, limit: QuotaLimit, items: int = 1
    ) -> QuotaWindow:
        """Return the state of a person's window for a request of `items` runs."""
        since = now - timedelta(seconds=self.seconds)
        used, first = charged_since(session, person_id, since)
        over, times = used + items - limit.places, list[datetime]()
        # after a lower limit, more than one run may have to leave first
        if over > 1 and items <= limit.places:
            times = charge_times(session, [person_id], since)[person_id]
        return self.window_of(limit, Charges(used, first), times, items)

    def windows(
        self, session: Session, limits: Mapping[str, QuotaLimit], now: datetime
    ) -> dict[str, QuotaWindow]:
        """Return the state of the windows of many people, by person id, in one query or two."""
        since = now - timedelta(seconds=self.seconds)
        found = charges_of(session, list(limits), since)
        charges = {one: found.get(one, Charges()) for one in limits}
        over = [one for one, limit in limits.items() if charges[one].used > limit.places > 0]
        times = charge_times(session, over, since) if over else {}
        return {
            one: self.window_of(limit, charges[one], times.get(one, []))
            for one, limit in limits.items()
        }

    def window_of(
        self, limit: QuotaLimit, charges: Charges, times: Sequence[datetime], items: int = 1
    ) -> QuotaWindow:
        """Return a window; `times` are those of its runs if more than one has to leave."""
        span, first = timedelta(seconds=self.seconds), charges.first
        over, free_at = charges.used + items - limit.places, None
        if first is not None and over > 0 and items <= limit.places:
            free_at = (times[over - 1] if over > 1 else first) + span
        reset_at = first + span if first else None
        return QuotaWindow(
            limit.places, charges.used, self.seconds, reset_at, free_at, items, limit.of
        )


def refusal_of(
    window: QuotaWindow, now: datetime, counted: Counted = Counted.RUNS
) -> RateLimited | NoPlaces:
    """Return the refusal for a full window: `retry_after` in seconds, `reset_at` in UTC."""
    told = told_limit(counted, window.limit, window.seconds, window.limit_of)
    after = window.retry_after(now)
    if after is None:
        return NoPlaces(
            no_places(counted, window.limit, window.limit_of),
            limit=window.limit,
            remaining=window.remaining,
            own_limit=told,
            reset_at=None,
        )
    return RateLimited(
        f"Rate limit reached. Retry in {after} s.",
        limit=window.limit,
        remaining=window.remaining,
        own_limit=told,
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
        limit: QuotaLimit,
        counted: Counted,
    ) -> None:
        self._counted = counted
        self._limit = limit
        self._rule = rule
        self._person_id = person_id
        self._items = items
        self._now = now
        self.full: QuotaWindow | None = None
        self.used: int | None = None
        self.is_kept = False

    @property
    def refusal(self) -> RateLimited | NoPlaces | None:
        """Refusal that is certain without waiting for the database lock, or None."""
        return refusal_of(self.full, self._now, self._counted) if self.full else None

    @property
    def begins_at(self) -> datetime | None:
        """Time (UTC) after which places count."""
        return self._now - timedelta(seconds=self._rule.seconds)

    def charge_counted(self, used: int, session: Session) -> None:
        """Do the same as `charge` with the places that the table was found to hold."""
        self.used = used
        if used + self._items > self._limit.places:
            self.charge(session)

    def charge(self, session: Session) -> None:
        """Check the table inside the transaction. Raises RateLimited or NoPlaces if it is full."""
        window = self.inspect(session)
        self.used = window.used
        if not window.fits:
            raise refusal_of(window, self._now, self._counted)

    def inspect(self, session: Session) -> QuotaWindow:
        """Return the window for this charge, as the table has it."""
        return self._rule.window(session, self._person_id, self._now, self._limit, self._items)

    def keep(self) -> None:
        """Keep the places: the charge was accepted."""
        self.is_kept = True


class FreePlace:
    """Stand-in for Place when nobody is charged."""

    refusal: RateLimited | NoPlaces | None = None
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
        limit = self._rule.limit_of(person_id)
        place = Place(self._rule, person_id, items, now, limit, self._counted)
        charge = Charge(self._counted, id_, items)
        standing = self._counters.take(person_id, charge, limit.places)
        if standing is None:
            yield place
            return
        if not standing.taken:
            with self._stores.looking() as session:
                window = place.inspect(session)
            place.full = None if window.fits else window
        try:
            yield place
        finally:
            if standing.taken and not place.is_kept:
                self._counters.release(person_id, charge)
            if _has_strayed(standing, place):
                self._counters.restore(person_id, self._counted, now)

    def window(self, person_id: str, now: datetime) -> QuotaWindow:
        """Return the state of a person's window for a request of one place."""
        limit = self.limit_of(person_id)
        with self._stores.looking() as session:
            return self._rule.window(session, person_id, now, limit)

    def limit_of(self, person_id: str) -> QuotaLimit:
        """Return the limit that holds for a person now."""
        return self._rule.limit_of(person_id)

    def told(self, limit: QuotaLimit) -> str:
        """Describe whose limit it is and where it is set."""
        return told_limit(self._counted, limit.places, self._rule.seconds, limit.of)


def _has_strayed(standing: WindowState, place: Place) -> bool:
    """Return True if the counters knew less than the table, or refused what it accepted."""
    if place.used is None:
        return False
    return standing.used < place.used or (place.is_kept and not standing.taken)


@dataclass(frozen=True)
class BatchQuota(_PersonLimit):
    """Quota of batch items per person, charged when a batch is created."""

    ledger: BatchLedger

    def window(
        self, session: Session, person_id: str, now: datetime, limit: QuotaLimit, items: int = 1
    ) -> QuotaWindow:
        """Return the state of a person's window for a batch of `items` items."""
        spent = self.ledger.spent(session, person_id, now - timedelta(seconds=self.seconds))
        reset_at = spent[0].at + timedelta(seconds=self.seconds) if spent else None
        free_at = room_at(spent, items, limit.places, self.seconds)
        used = sum(one.items for one in spent)
        return QuotaWindow(limit.places, used, self.seconds, reset_at, free_at, items, limit.of)


def room_at(spent: Sequence[Spent], items: int, limit: int, seconds: int) -> datetime | None:
    """Return when `items` more will fit (UTC), None if now or never; `spent` is oldest first."""
    used = sum(one.items for one in spent)
    if used + items <= limit:
        return None
    for one in spent:
        used -= one.items
        if used + items <= limit:
            return one.at + timedelta(seconds=seconds)
    return None
