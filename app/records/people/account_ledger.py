"""The ledger of browser sessions and of the links that begin them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, inspect, update
from sqlmodel import col, select

from app.records.feed import PeopleChanged
from app.records.people.audit_ledger import record
from app.records.people.reach import within
from app.records.projects.forge_ledger import Seal, held_check
from app.records.stores.routing import Stores
from app.records.tables import LoginLink, Membership, Person, ProjectRole, SignIn
from app.records.tables.people import DEFAULT_ORGANISATION


@dataclass(frozen=True)
class Account:
    """A person with the organisation and the roles that they have now."""

    person: Person
    organisation_id: str
    role: str
    project_roles: Mapping[str, str]


_IS_LET_IN = (col(Person.disabled_at).is_(None), col(Person.lapsed_at).is_(None))


class AccountLedger:
    """Accounts, in the control store; secrets are stored only as hashes."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    def operator(self, name: str, now: datetime) -> Person:
        """Return the local person, an admin; create it at the first start."""
        with self.stores.control.transaction() as tx:
            known = tx.scalars(select(Person).where(Person.name == name)).first()
            if known is not None:
                return known
            person = Person(
                id=self.stores.mint_control_id("person", now), name=name, created_at=now
            )
            tx.add(person)
            tx.flush()
            member = Membership(
                person_id=person.id, organisation_id=DEFAULT_ORGANISATION, role="admin"
            )
            tx.add(member)
        return person

    def person(self, person_id: str) -> Person | None:
        """Return one person, or None."""
        with self.stores.control.reading() as session:
            return session.get(Person, person_id)

    def account(self, person_id: str) -> Account | None:
        """Return a person with their roles, None if unknown, disabled or lapsed."""
        query = (
            select(Person, Membership)
            .join(Membership, col(Membership.person_id) == Person.id)
            .where(Person.id == person_id, *_IS_LET_IN)
        )
        higher = select(ProjectRole).where(ProjectRole.person_id == person_id)
        with self.stores.control.reading() as session:
            found = session.exec(query).first()
            if found is None:
                return None
            roles = {one.project_id: one.role for one in session.exec(higher)}
        person, member = found
        return Account(person, member.organisation_id, member.role, roles)

    def by_email(self, email: str) -> Person | None:
        """Return the person with this address who is not disabled or lapsed, or None."""
        return self._person(Person.email == email)

    def _person(self, named: ColumnElement[bool] | bool) -> Person | None:
        query = select(Person).where(named, *_IS_LET_IN)
        with self.stores.control.reading() as session:
            return session.exec(query).first()

    def has_password_holder(self) -> bool:
        """Return True if somebody who is not disabled can sign in with a password."""
        known = col(Person.password_hash).is_not(None)
        # not by _IS_LET_IN: also asked before the schema is brought up to date
        query = select(Person.id).where(known, col(Person.disabled_at).is_(None)).limit(1)
        with within(None), self.stores.control.reading() as session:
            columns = inspect(session.connection()).get_columns("person")
            is_new = any(one["name"] == "password_hash" for one in columns)
            return is_new and session.exec(query).first() is not None

    # --- links ---------------------------------------------------------------------------------

    def add_link(self, link: LoginLink) -> None:
        """Store a sign-in link, and delete expired ones."""
        with self.stores.control.transaction() as tx:
            tx.exec(delete(LoginLink).where(col(LoginLink.expires_at) < link.created_at))
            tx.add(link)
            record(tx, link.person_id)

    def link(self, token_hash: str, now: datetime) -> LoginLink | None:
        """Return a link that can still be used, or None."""
        with self.stores.control.reading() as session:
            found = session.get(LoginLink, token_hash)
        is_open = found is not None and found.used_at is None and found.expires_at > now
        return found if is_open else None

    def use_link(self, token_hash: str, now: datetime, made_after: datetime) -> str | None:
        """Mark a link used, and return its person's id.

        Returns None if it is used, expired, unknown, sets a password, or is not newer than
        `made_after`.
        """
        with self.stores.control.transaction() as tx:
            return tx.scalars(
                update(LoginLink)
                .where(
                    col(LoginLink.token_hash) == token_hash,
                    col(LoginLink.used_at).is_(None),
                    col(LoginLink.sets_password).is_(False),
                    col(LoginLink.expires_at) > now,
                    col(LoginLink.created_at) > made_after,
                )
                .values(used_at=now)
                .returning(col(LoginLink.person_id))
            ).one_or_none()

    def set_password_by(self, token_hash: str, password_hash: str, now: datetime) -> str | None:
        """Use an invitation or a reset, and return its person's id; None if it is used or expired.

        All sessions and other links of that person end.
        """
        with self.stores.control.transaction() as tx:
            person_id = tx.scalars(
                update(LoginLink)
                .where(
                    col(LoginLink.token_hash) == token_hash,
                    col(LoginLink.used_at).is_(None),
                    col(LoginLink.sets_password).is_(True),
                    col(LoginLink.expires_at) > now,
                )
                .values(used_at=now)
                .returning(col(LoginLink.person_id))
            ).one_or_none()
            if person_id is not None:
                self._set_password(tx, person_id, password_hash)
                record(tx, person_id, person=person_id)
        return person_id

    def set_password(
        self, person_id: str, password_hash: str, *, but: str | None, is_new: bool = True
    ) -> None:
        """Replace a password, and end the person's sessions except the one `but`.

        With `is_new` False only the hash is newer: nothing ends.
        """
        with self.stores.control.transaction() as tx:
            if not is_new:
                changed = update(Person).where(col(Person.id) == person_id)
                tx.exec(changed.values(password_hash=password_hash))
                return
            self._set_password(tx, person_id, password_hash, but)
            record(tx, person_id)

    @staticmethod
    def _set_password(tx: Any, person_id: str, password_hash: str, but: str | None = None) -> None:
        tx.exec(
            update(Person).where(col(Person.id) == person_id).values(password_hash=password_hash)
        )
        ended = [col(SignIn.person_id) == person_id]
        if but is not None:
            ended.append(col(SignIn.cookie_hash) != but)
        tx.exec(delete(SignIn).where(*ended))
        tx.exec(delete(LoginLink).where(col(LoginLink.person_id) == person_id))
        tx.publish(PeopleChanged(person_id))

    def change_person(self, person_id: str, **columns: Any) -> None:
        """Set columns of a person, and record the names of those that people may see."""
        with self.stores.control.transaction() as tx:
            tx.exec(update(Person).where(col(Person.id) == person_id).values(**columns))
            tx.publish(PeopleChanged(person_id))
            record(tx, person_id, after={name: str(value) for name, value in columns.items()})

    def begin_codes(self, person_id: str, secret: Seal) -> None:
        """Store the secret of one-time codes, which do not count yet."""
        with self.stores.control.transaction() as tx:
            sealed = secret(held_check(tx))
            begun = update(Person).where(col(Person.id) == person_id)
            tx.exec(begun.values(totp_secret=sealed, totp_since=None, totp_step=None))
            record(tx, person_id)

    def use_code(self, person_id: str, step: int) -> bool:
        """Mark a one-time code's time step used; return False if it or a later one was used."""
        with self.stores.control.transaction() as tx:
            newer = col(Person.totp_step).is_(None) | (col(Person.totp_step) < step)
            used = update(Person).where(col(Person.id) == person_id, newer).values(totp_step=step)
            return bool(tx.scalars(used.returning(col(Person.id))).all())

    def use_recovery(self, person_id: str, code_hash: str) -> bool:
        """Remove a recovery code; return False if the person does not have it."""
        with self.stores.control.transaction() as tx:
            person = tx.get(Person, person_id)
            if person is None or code_hash not in person.recovery_hashes:
                return False
            person.recovery_hashes = [one for one in person.recovery_hashes if one != code_hash]
            tx.add(person)
        return True
