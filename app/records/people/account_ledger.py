"""The ledger of people, their browser sessions and sign-in links."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import column, delete, inspect, update
from sqlmodel import col, select

from app.records.people.audit_ledger import record
from app.records.stores.routing import Stores
from app.records.tables import LoginLink, Person, SignIn

PEOPLE = "person"
PASSWORD = "password_hash"  # noqa: S105  (a column's name)


class AccountLedger:
    """Accounts, in the control store; secrets are stored only as hashes."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    def operator(self, name: str, now: datetime) -> Person:
        """Return the single local person; create it at the first start."""
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
        """Return one person, or None."""
        with self.stores.control.reading() as session:
            return session.get(Person, person_id)

    def has_password_holder(self) -> bool:
        """Return True if a person has a password.

        Asked before the schema is brought up to date, so a column that is not there yet is seen.
        """
        with self.stores.control.reading() as session:
            people = inspect(session.connection()).get_columns(PEOPLE)
            if all(one["name"] != PASSWORD for one in people):
                return False
            held = select(1).select_from(Person).where(column(PASSWORD).is_not(None))
            return session.exec(held.limit(1)).first() is not None

    def add_link(self, link: LoginLink) -> None:
        """Store a sign-in link, and delete expired ones."""
        with self.stores.control.transaction() as tx:
            tx.exec(delete(LoginLink).where(col(LoginLink.expires_at) < link.created_at))
            tx.add(link)
            record(tx, link.person_id)

    def use_link(self, token_hash: str, now: datetime, made_after: datetime) -> str | None:
        """Mark a link used, and return its person's id.

        Returns None if it is used, expired, unknown, or not newer than `made_after`.
        """
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
        """Store a browser session, and delete expired ones."""
        with self.stores.control.transaction() as tx:
            tx.exec(delete(SignIn).where(col(SignIn.expires_at) < session.created_at))
            tx.add(session)
            record(tx, session.person_id, person=session.person_id)

    def session(self, cookie_hash: str) -> SignIn | None:
        """Return a browser session, or None; it may have expired."""
        with self.stores.control.reading() as session:
            return session.get(SignIn, cookie_hash)

    def end_sessions(self) -> int:
        """Sign all browsers out; return how many sessions there were."""
        with self.stores.control.transaction() as tx:
            record(tx)
            return len(tx.scalars(delete(SignIn).returning(col(SignIn.cookie_hash))).all())

    def end_session(self, cookie_hash: str) -> None:
        """Sign one browser out."""
        with self.stores.control.transaction() as tx:
            tx.exec(delete(SignIn).where(col(SignIn.cookie_hash) == cookie_hash))
            record(tx)
