"""The ledger of visits: when each person last had a page open."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import case, update
from sqlmodel import col, select

from app.records.stores.routing import Stores
from app.records.tables import Person, Visit


class VisitLedger:
    """Visits, in the control store."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def find(self, person_id: str) -> Visit | None:
        """Return a person's last visit, or None before the first."""
        with self._stores.control.reading() as session:
            return session.get(Visit, person_id)

    def mark_seen(self, person_id: str, now: datetime, gap: timedelta) -> None:
        """Record that a page of this person is open.

        If none was for longer than `gap`, a new visit begins, and counts since the end of the last.
        """
        begins = col(Visit.seen_at) < now - gap
        since = case((begins, col(Visit.seen_at)), else_=col(Visit.since))
        seen = (
            update(Visit)
            .where(col(Visit.person_id) == person_id, col(Visit.seen_at) <= now)
            .values(since=since, seen_at=now)
        )
        with self._stores.control.transaction() as tx:
            if tx.scalars(seen.returning(col(Visit.person_id))).one_or_none() is not None:
                return
            if tx.scalars(select(Visit.person_id).where(Visit.person_id == person_id)).first():
                return  # the clock was set back
            person = tx.get(Person, person_id)
            if person is not None:
                tx.add(Visit(person_id=person_id, since=person.created_at, seen_at=now))
