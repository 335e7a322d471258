"""Sign-ins at an identity provider: what was begun there, and the people it stands for."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, func, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from app.records.feed import PeopleChanged
from app.records.people.audit_ledger import record
from app.records.stores.routing import Stores
from app.records.tables import Membership, OidcStart, Person, SignIn

# anybody can begin one: what is never ended must not fill the disk
MOST_BEGUN = 10_000


class OpenIdLedger:
    """Begun sign-ins and provider subjects, in the control store."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    def begin(self, start: OidcStart) -> bool:
        """Store a begun sign-in, and delete expired ones; return False if there are too many."""
        with self.stores.control.transaction() as tx:
            tx.exec(delete(OidcStart).where(col(OidcStart.expires_at) < start.created_at))
            begun = tx.scalars(select(func.count()).select_from(OidcStart)).one()
            if begun >= MOST_BEGUN:
                return False
            tx.add(start)
        return True

    def take(self, key: str, now: datetime) -> OidcStart | None:
        """Remove a begun sign-in and return it, None if it is used, expired or unknown."""
        with self.stores.control.transaction() as tx:
            found = tx.get(OidcStart, key)
            if found is None:
                return None
            gone = delete(OidcStart).where(col(OidcStart.id) == key).returning(col(OidcStart.id))
            # of two at once, one takes it
            is_taken = bool(tx.scalars(gone).all())
            tx.expunge(found)
        return found if is_taken and found.expires_at > now else None

    def by_subject(self, subject: str) -> Person | None:
        """Return the person of a subject, also one who is disabled."""
        with self.stores.control.reading() as session:
            return session.exec(select(Person).where(Person.oidc_subject == subject)).first()

    def role(self, person_id: str) -> str | None:
        """Return the role of a person in their organisation."""
        with self.stores.control.reading() as session:
            member = session.get(Membership, person_id)
            return member.role if member is not None else None

    def bind(self, person_id: str, subject: str) -> bool:
        """Make a person the one of a subject; return False if either has another by now."""
        free = update(Person).where(col(Person.id) == person_id, col(Person.oidc_subject).is_(None))
        try:
            with self.stores.control.transaction() as tx:
                bound = free.values(oidc_subject=subject).returning(col(Person.id))
                if not tx.scalars(bound).all():
                    return False
                tx.publish(PeopleChanged(person_id))
                record(tx, person_id, person=person_id)
        except IntegrityError:
            return False
        return True

    def set_role(self, person_id: str, role: str) -> None:
        """Set the role that the provider's groups give; the person's sessions end."""
        its = update(Membership).where(col(Membership.person_id) == person_id)
        with self.stores.control.transaction() as tx:
            tx.exec(its.values(role=role))
            tx.exec(delete(SignIn).where(col(SignIn.person_id) == person_id))
            tx.publish(PeopleChanged(person_id))
            record(tx, person_id, after={"role": role}, person=person_id)
