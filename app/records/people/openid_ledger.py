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

    def role(self, person_id: str) -> str | None:
        """Return the role of a person in their organisation."""
        with self.stores.control.reading() as session:
            member = session.get(Membership, person_id)
            return member.role if member is not None else None

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

    def set_role(self, person_id: str, before: str | None, role: str) -> None:
        """Set the role that the provider's groups give; the person's sessions end."""
        its = update(Membership).where(col(Membership.person_id) == person_id)
        with own_row("change_person"), self.stores.control.transaction() as tx:
            tx.exec(its.values(role=role))
            tx.exec(update(Person).where(col(Person.id) == person_id).values(lapsed_at=None))
            tx.exec(delete(SignIn).where(col(SignIn.person_id) == person_id))
            tx.publish(PeopleChanged(person_id))
            record(tx, person_id, before={"role": before}, after={"role": role}, person=person_id)

    def set_lapsed(self, person_id: str, lapsed_at: datetime | None) -> None:
        """Let nothing of a person's work any more, or all of it again; sessions end for good."""
        its = update(Person).where(col(Person.id) == person_id)
        told = {"lapsed": lapsed_at is not None}
        with own_row("change_person"), self.stores.control.transaction() as tx:
            tx.exec(its.values(lapsed_at=lapsed_at))
            tx.exec(delete(SignIn).where(col(SignIn.person_id) == person_id))
            tx.publish(PeopleChanged(person_id))
            record(tx, person_id, after=told, person=person_id)


@contextmanager
def own_row(deed: str) -> Generator[None]:
    """Let what a sign-in changes besides have an audit row by itself, with this deed."""
    act = current_act()
    if act is None:
        yield
        return
    with acting(replace(act, deed=deed, object="", is_written=False)):
        yield
