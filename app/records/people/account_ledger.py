"""People, their browser sessions and the links that sign them in."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, update
from sqlmodel import col, select

from app.records.people.audit_ledger import record
from app.records.stores.routing import Stores
from app.records.tables import LoginLink, Person, SignIn


class AccountLedger:
    """Accounts, in the control store; secrets are stored hashed only."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    def operator(self, name: str, now: datetime) -> Person:
        """The one local person, made at the first start."""
        with self.stores.control.transaction() as tx:
            known = tx.scalars(select(Person).where(Person.name == name)).first()
            if known is not None:
                return known
            person = Person(
                id=self.stores.mint_control_id("person", now), name=name, created_at=now
            )
            tx.add(person)
        return person

    def person(self, person_id: str) -> Person | None:
        """One person."""
        with self.stores.control.reading() as session:
            return session.get(Person, person_id)

    def add_link(self, link: LoginLink) -> None:
        """Store a sign-in link; forget those long over."""
        with self.stores.control.transaction() as tx:
            tx.execute(delete(LoginLink).where(col(LoginLink.expires_at) < link.created_at))
            tx.add(link)
            record(tx, link.person_id)

    def use_link(self, token_hash: str, now: datetime, made_after: datetime) -> str | None:
        """Mark a link used, once; whose it was, None where it is used, over, older or unknown."""
        with self.stores.control.transaction() as tx:
            return tx.scalars(
                update(LoginLink)
                .where(
                    col(LoginLink.token_hash) == token_hash,
                    col(LoginLink.used_at).is_(None),
                    col(LoginLink.expires_at) > now,
                    col(LoginLink.created_at) > made_after,
                )
                .values(used_at=now)
                .returning(col(LoginLink.person_id))
            ).one_or_none()

    def add_session(self, session: SignIn) -> None:
        """Store a browser's session; forget those that are over."""
        with self.stores.control.transaction() as tx:
            tx.execute(delete(SignIn).where(col(SignIn.expires_at) < session.created_at))
            tx.add(session)
            record(tx, session.person_id, person=session.person_id)

    def session(self, cookie_hash: str) -> SignIn | None:
        """A browser's session."""
        with self.stores.control.reading() as session:
            return session.get(SignIn, cookie_hash)

    def end_sessions(self) -> int:
        """Sign every browser out; how many sessions that were."""
        with self.stores.control.transaction() as tx:
            record(tx)
            return len(tx.scalars(delete(SignIn).returning(col(SignIn.cookie_hash))).all())

    def end_session(self, cookie_hash: str) -> None:
        """Sign a browser out."""
        with self.stores.control.transaction() as tx:
            tx.execute(delete(SignIn).where(col(SignIn.cookie_hash) == cookie_hash))
            record(tx)
