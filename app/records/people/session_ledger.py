"""The ledger of browser sessions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, or_, update
from sqlmodel import col, select

from app.records.feed import PeopleChanged
from app.records.people.audit_ledger import record
from app.records.stores.routing import Stores
from app.records.tables import SignIn

IDLE = timedelta(days=7)
# how exactly it is recorded when a session was last used
USED_EVERY = timedelta(hours=1)


class SessionLedger:
    """Sessions, in the control store; only the hashes of their cookies are stored."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    def add(self, session: SignIn) -> None:
        """Store a session, and delete expired ones."""
        now = session.created_at
        over = or_(col(SignIn.expires_at) < now, col(SignIn.used_at) < now - IDLE)
        with self.stores.control.transaction() as tx:
            tx.exec(delete(SignIn).where(over))
            tx.add(session)
            record(tx, session.person_id, person=session.person_id)

    def find(self, cookie_hash: str, now: datetime) -> SignIn | None:
        """Return a session that has not expired, or None."""
        with self.stores.control.reading() as session:
            found = session.get(SignIn, cookie_hash)
        if found is None or found.expires_at <= now or found.used_at <= now - IDLE:
            return None
        return found

    def of_person(self, person_id: str, now: datetime) -> Sequence[SignIn]:
        """Return a person's sessions that have not expired, the newest first."""
        query = (
            select(SignIn)
            .where(
                SignIn.person_id == person_id,
                col(SignIn.expires_at) > now,
                col(SignIn.used_at) > now - IDLE,
            )
            .order_by(col(SignIn.created_at).desc())
        )
        with self.stores.control.reading() as session:
            return session.exec(query).all()

    def note_use(self, cookie_hash: str, now: datetime) -> None:
        """Record that a session was used."""
        self._set(cookie_hash, used_at=now)

    def prove(self, cookie_hash: str, now: datetime) -> None:
        """Record that the person of a session has just proved who they are."""
        self._set(cookie_hash, proved_at=now, used_at=now)

    def _set(self, cookie_hash: str, **columns: datetime) -> None:
        with self.stores.control.transaction() as tx:
            tx.exec(update(SignIn).where(col(SignIn.cookie_hash) == cookie_hash).values(**columns))

    def end(self, cookie_hash: str) -> None:
        """End one session by its cookie."""
        self._end(col(SignIn.cookie_hash) == cookie_hash)

    def end_one(self, person_id: str, session_id: str) -> bool:
        """End one session of a person by its id; return False if there is none."""
        its = col(SignIn.id) == session_id
        return bool(self._end(its, col(SignIn.person_id) == person_id, about=person_id))

    def end_all(self, person_id: str | None = None) -> int:
        """End all sessions, of one person if given; return how many."""
        terms = [col(SignIn.person_id) == person_id] if person_id else []
        return self._end(*terms, about=person_id)

    def _end(self, *terms: ColumnElement[bool], about: str | None = None) -> int:
        gone = delete(SignIn).where(*terms).returning(col(SignIn.person_id))
        with self.stores.control.transaction() as tx:
            people = list(tx.scalars(gone).all())
            for person_id in dict.fromkeys(people):
                tx.publish(PeopleChanged(person_id))
            if people:
                record(tx, about)
        return len(people)
