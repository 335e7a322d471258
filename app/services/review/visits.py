"""Visits: since when the report counts for each person."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import IntegrityError

from app.errors import NotFound
from app.records.database.database import DatabaseSilent
from app.records.people.account_ledger import AccountLedger
from app.records.review.visit_ledger import VisitLedger
from app.services.context import Context

log = structlog.get_logger()
# how long no page may be open until a visit has ended, and how often open ones are recorded
GAP = timedelta(minutes=5)
RECORDED_SECONDS = 120.0


class Visits:
    """Counts the open pages of each person on this server, and records when they were open."""

    def __init__(self, context: Context) -> None:
        self._ledger = VisitLedger(context.stores)
        self._accounts = AccountLedger(context.stores)
        self._workers = context.workers
        self._clock = context.clock
        self._lock = threading.Lock()
        self._pages: Counter[str] = Counter()
        self._unrecorded: set[str] = set()

    def begin(self, person_id: str) -> Callable[[], None]:
        """Count a page that was opened; return the function to call once it is closed."""
        with self._lock:
            self._pages[person_id] += 1
            self._unrecorded.add(person_id)
        self._workers.submit(self._record, person_id)

        def end() -> None:
            with self._lock:
                self._pages[person_id] -= 1
                is_last = not self._pages[person_id]
                if is_last:
                    del self._pages[person_id]
                    self._unrecorded.add(person_id)
            if is_last:
                self._workers.submit(self._record, person_id)

        return end

    def since(self, person_id: str) -> datetime:
        """Return when this person's visit before the present one ended, or the first start.

        Raises NotFound.
        """
        self._record(person_id)
        visit = self._ledger.find(person_id)
        if visit is not None:
            return visit.since
        person = self._accounts.person(person_id)
        if person is None:
            raise NotFound
        return person.created_at

    def record_once(self) -> int:
        """Record the pages that are open; return how many people have one."""
        with self._lock:
            people = list(self._pages)
            self._unrecorded.update(people)
        for person_id in people:
            self._record(person_id)
        return len(people)

    def _record(self, person_id: str) -> None:
        with self._lock:
            if person_id not in self._unrecorded:
                return
            self._unrecorded.discard(person_id)
        try:
            self._ledger.mark_seen(person_id, self._clock(), GAP)
        except (DatabaseSilent, IntegrityError) as problem:
            # the next record makes up for it
            log.info("visit_not_recorded", because=problem)
            with self._lock:
                if person_id in self._pages:
                    self._unrecorded.add(person_id)
