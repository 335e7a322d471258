"""Sign-ins at an identity provider: those that were begun, and the people they stand for."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from app.records.feed import PeopleChanged
from app.records.people.audit_ledger import acting, current_act, record
from app.records.stores.routing import Stores
from app.records.tables import LoginLink, Membership, OidcStart, Person, SignIn

# anybody can begin one: an address that never ends them loses its oldest
MOST_OF_ADDRESS = 20


class OpenIdLedger:
    """Begun sign-ins and provider subjects, in the control store."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    def begin(self, start: OidcStart) -> None:
        """Store a begun sign-in; delete expired ones, and the oldest of an address with many."""
        of_address = (
            select(OidcStart.id)
            .where(OidcStart.address == start.address)
            .order_by(col(OidcStart.created_at).desc(), col(OidcStart.id))
            .offset(MOST_OF_ADDRESS - 1)
        )
        with self.stores.control.transaction() as tx:
            tx.exec(delete(OidcStart).where(col(OidcStart.expires_at) < start.created_at))
            if surplus := tx.scalars(of_address).all():
                tx.exec(delete(OidcStart).where(col(OidcStart.id).in_(surplus)))
            tx.add(start)

    def take(self, key: str, state: str, now: datetime) -> OidcStart | None:
        """Remove a begun sign-in and return it, None if it is used, expired or unknown.

        One with another state stays, for the answer that it waits for.
        """
        its = (col(OidcStart.id) == key, col(OidcStart.state) == state)
        with self.stores.control.transaction() as tx:
            found = tx.scalars(select(OidcStart).where(*its)).first()
            if found is None:
                return None
            # of two at once, one takes it
            gone = delete(OidcStart).where(*its).returning(col(OidcStart.id))
            tx.expunge(found)
            is_taken = bool(tx.scalars(gone).all())
        return found if is_taken and found.expires_at > now else None

    def by_subject(self, subject: str) -> Person | None:
        """Return the person of a subject, also one who is disabled or has lapsed."""
        with self.stores.control.reading() as session:
            return session.exec(select(Person).where(Person.oidc_subject == subject)).first()

    def bind(self, person_id: str, subject: str) -> bool:
        """Make a person the one of a subject; return False if either has another by now.

        An invitation that was not used yet no longer works.
        """
        free = update(Person).where(col(Person.id) == person_id, col(Person.oidc_subject).is_(None))
        try:
            with own_row("bind_account"), self.stores.control.transaction() as tx:
                bound = free.values(oidc_subject=subject).returning(col(Person.id))
                if not tx.scalars(bound).all():
                    return False
                tx.exec(delete(LoginLink).where(col(LoginLink.person_id) == person_id))
                tx.publish(PeopleChanged(person_id))
                record(tx, person_id, person=person_id)
        except IntegrityError:
            return False
        return True

    def give_role(self, person_id: str, role: str) -> None:
        """Set the role that the provider's groups give, and let a lapsed person in again.

        Their sessions end if the role is another one.
        """
        with own_row("change_person"), self.stores.control.transaction() as tx:
            person, member = tx.get(Person, person_id), tx.get(Membership, person_id)
            if person is None or member is None or (member.role, person.lapsed_at) == (role, None):
                return
            before, person.lapsed_at, member.role = member.role, None, role
            if before != role:
                tx.exec(delete(SignIn).where(col(SignIn.person_id) == person_id))
            tx.publish(PeopleChanged(person_id))
            record(tx, person_id, before={"role": before}, after={"role": role}, person=person_id)

    def lapse(self, person_id: str, now: datetime) -> None:
        """End a person's sessions, and let nothing of theirs work until they have a role again."""
        is_new = (col(Person.id) == person_id, col(Person.lapsed_at).is_(None))
        with own_row("change_person"), self.stores.control.transaction() as tx:
            lapsed = update(Person).where(*is_new).values(lapsed_at=now).returning(col(Person.id))
            if not tx.scalars(lapsed).all():
                return
            tx.exec(delete(SignIn).where(col(SignIn.person_id) == person_id))
            tx.publish(PeopleChanged(person_id))
            record(tx, person_id, after={"lapsed": True}, person=person_id)


@contextmanager
def own_row(deed: str) -> Generator[None]:
    """Let what a sign-in changes besides have an audit row by itself, with this deed."""
    act = current_act()
    if act is None:
        yield
        return
    with acting(replace(act, deed=deed, object="", is_written=False)):
        yield
