"""The ledger of organisations, their people, roles and tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from app.records.database.database import Transaction
from app.records.feed import PeopleChanged, QuotaChanged
from app.records.people.audit_ledger import record
from app.records.people.reach import within
from app.records.stores.routing import Stores
from app.records.tables import (
    AccessToken,
    Membership,
    Organisation,
    Person,
    Project,
    ProjectRole,
    SignIn,
)

USED_EVERY = timedelta(minutes=1)


class TakenName(Exception):
    """An organisation has this name, or a person this address."""


@dataclass(frozen=True)
class Member:
    """A person of an organisation, with the role in it and higher roles by project id."""

    person: Person
    organisation_id: str
    role: str
    project_roles: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Standing:
    """A person's organisation and role in it, and the limits and agents set for the person."""

    organisation_id: str
    role: str
    run_quota: int | None
    batch_quota: int | None
    agents: tuple[str, ...]


class PeopleLedger:
    """Organisations, people and tokens, in the control store."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    # --- organisations -------------------------------------------------------------------------

    def organisations(self) -> Sequence[Organisation]:
        """Return all organisations, by name."""
        with within(None), self.stores.control.reading() as session:
            return session.exec(select(Organisation).order_by(col(Organisation.name))).all()

    def add_organisation(self, organisation: Organisation) -> None:
        """Store an organisation. Raises TakenName."""
        try:
            with within(None), self.stores.control.transaction() as tx:
                tx.add(organisation)
                tx.publish(PeopleChanged(""))
                record(tx, organisation.id, after={"name": organisation.name})
        except IntegrityError as error:
            raise TakenName from error

    def change_organisation(
        self,
        organisation_id: str,
        *,
        name: str | None = None,
        limits: Mapping[str, Mapping[str, int | None]] | None = None,
    ) -> None:
        """Give an organisation another name, or limits to its roles. Raises TakenName.

        `limits` holds, by column, the limits that change by role; None takes one away.
        """
        changes: dict[str, Any] = {"name": name} if name is not None else {}
        try:
            with within(None), self.stores.control.transaction() as tx:
                # the row is written from what it holds: no one else may write it in between
                found = select(Organisation).where(Organisation.id == organisation_id)
                place = tx.exec(found.with_for_update()).one()
                for column, its in (limits or {}).items():
                    merged = {**getattr(place, column), **its}
                    changes[column] = {
                        role: places for role, places in merged.items() if places is not None
                    }
                before = {column: getattr(place, column) for column in changes}
                for column, value in changes.items():
                    setattr(place, column, value)
                tx.flush()
                tx.publish(PeopleChanged(""), QuotaChanged(""))
                record(tx, organisation_id, before=before, after=changes)
        except IntegrityError as error:
            raise TakenName from error

    def projects(self) -> dict[str, str]:
        """Return the organisation of every project, by project id."""
        with within(None), self.stores.control.reading() as session:
            return dict(session.exec(select(Project.id, Project.organisation_id)).all())

    def standings(self) -> dict[str, Standing]:
        """Return the organisation, role and limits of all who are not disabled, by person id."""
        query = (
            select(Membership, Person)
            .join(Person, col(Person.id) == Membership.person_id)
            .where(col(Person.disabled_at).is_(None))
        )
        with within(None), self.stores.control.reading() as session:
            return {
                one.id: Standing(
                    organisation_id=its.organisation_id,
                    role=its.role,
                    run_quota=one.run_quota,
                    batch_quota=one.batch_quota,
                    agents=tuple(one.agents),
                )
                for its, one in session.exec(query)
            }

    def all_names(self) -> dict[str, str]:
        """Return the names of all people for screens, by id."""
        query = select(Person.id, Person.full_name, Person.name)
        with within(None), self.stores.control.reading() as session:
            return {one: full or name for one, full, name in session.exec(query).all()}

    # --- people --------------------------------------------------------------------------------

    def names(self, ids: Sequence[str]) -> dict[str, str]:
        """Return the names of people for screens, by id."""
        query = select(Person.id, Person.full_name, Person.name).where(col(Person.id).in_(ids))
        with self.stores.control.reading() as session:
            return {one: full or name for one, full, name in session.exec(query).all()}

    def members(self, organisation_id: str) -> list[Member]:
        """Return the people of an organisation, by name."""
        with self.stores.control.reading() as session:
            return _members(session, Membership.organisation_id == organisation_id)

    def member(self, organisation_id: str, person_id: str) -> Member | None:
        """Return a person of an organisation, or None."""
        with self.stores.control.reading() as session:
            its = col(Membership.organisation_id) == organisation_id
            found = _members(session, its & (col(Membership.person_id) == person_id))
        return next(iter(found), None)

    def invite(self, member: Member) -> None:
        """Store a new person with their roles. Raises TakenName."""
        try:
            with within(None), self.stores.control.transaction() as tx:
                tx.add(member.person)
                tx.flush()
                its = Membership(
                    person_id=member.person.id,
                    organisation_id=member.organisation_id,
                    role=member.role,
                )
                tx.add(its)
                _set_project_roles(tx, member.person.id, member.project_roles)
                tx.publish(PeopleChanged(member.person.id))
                told = {"email": member.person.email, "role": member.role}
                record(tx, member.person.id, after=told, person=member.person.id)
        except IntegrityError as error:
            raise TakenName from error

    def change(
        self,
        member: Member,
        *,
        role: str | None = None,
        project_roles: Mapping[str, str] | None = None,
        disabled_at: datetime | None = None,
        is_enabled: bool = False,
        limits: Mapping[str, Any] | None = None,
    ) -> None:
        """Change limits, or change roles, disable or enable, which ends the person's sessions.

        `limits` are columns of the person.
        """
        person_id, person = member.person.id, member.person
        after: dict[str, Any] = {}
        with self.stores.control.transaction() as tx:
            if role is not None:
                after["role"] = role
                its = update(Membership).where(col(Membership.person_id) == person_id)
                tx.exec(its.values(role=role))
            if project_roles is not None:
                after["projects"] = dict(project_roles)
                _set_project_roles(tx, person_id, project_roles)
            if disabled_at is not None or is_enabled:
                after["disabled"] = disabled_at is not None
                its = update(Person).where(col(Person.id) == person_id)
                tx.exec(its.values(disabled_at=disabled_at))
            if after:
                tx.exec(delete(SignIn).where(col(SignIn.person_id) == person_id))
            if limits:
                after.update(limits)
                tx.exec(update(Person).where(col(Person.id) == person_id).values(**limits))
            tx.publish(PeopleChanged(person_id), QuotaChanged(person_id))
            before = {
                "role": member.role,
                "projects": dict(member.project_roles),
                "disabled": person.disabled_at is not None,
                **{name: getattr(person, name) for name in limits or ()},
            }
            record(tx, person_id, before=before, after=after)

    def count_admins(self, organisation_id: str) -> int:
        """Count the admins of an organisation who are not disabled."""
        query = (
            select(func.count())
            .select_from(Membership)
            .join(Person, col(Person.id) == Membership.person_id)
            .where(
                Membership.organisation_id == organisation_id,
                Membership.role == "admin",
                col(Person.disabled_at).is_(None),
            )
        )
        with self.stores.control.reading() as session:
            return session.exec(query).one()

    # --- tokens --------------------------------------------------------------------------------

    def add_token(self, token: AccessToken) -> None:
        """Store a token."""
        with self.stores.control.transaction() as tx:
            tx.add(token)
            told = {"name": token.name, "scopes": token.scopes, "projects": token.projects}
            record(tx, token.id, after=told)

    def token(self, token_hash: str, now: datetime) -> AccessToken | None:
        """Return a token that is neither expired nor revoked, or None."""
        query = select(AccessToken).where(
            AccessToken.token_hash == token_hash,
            col(AccessToken.revoked_at).is_(None),
            col(AccessToken.expires_at) > now,
        )
        with self.stores.control.reading() as session:
            return session.exec(query).first()

    def tokens(self, people: Sequence[str]) -> Sequence[AccessToken]:
        """Return the tokens of these people that are not revoked, the newest first."""
        query = (
            select(AccessToken)
            .where(col(AccessToken.person_id).in_(people), col(AccessToken.revoked_at).is_(None))
            .order_by(col(AccessToken.id).desc())
        )
        with self.stores.control.reading() as session:
            return session.exec(query).all()

    def note_use(self, token_id: str, now: datetime) -> None:
        """Record that a token was used."""
        used = update(AccessToken).where(col(AccessToken.id) == token_id)
        with self.stores.control.transaction() as tx:
            tx.exec(used.values(last_used_at=now))

    def revoke(self, token: AccessToken, now: datetime) -> bool:
        """End a token; return False if it was ended before."""
        ended = (
            update(AccessToken)
            .where(col(AccessToken.id) == token.id, col(AccessToken.revoked_at).is_(None))
            .values(revoked_at=now)
            .returning(col(AccessToken.id))
        )
        with self.stores.control.transaction() as tx:
            found = bool(tx.scalars(ended).all())
            if found:
                tx.publish(PeopleChanged(token.person_id))
                record(tx, token.id)
        return found


def _set_project_roles(tx: Transaction, person_id: str, roles: Mapping[str, str]) -> None:
    tx.exec(delete(ProjectRole).where(col(ProjectRole.person_id) == person_id))
    for project_id, role in roles.items():
        tx.add(ProjectRole(person_id=person_id, project_id=project_id, role=role))
    tx.flush()


def _members(session: Session, which: Any) -> list[Member]:
    query = (
        select(Person, Membership)
        .join(Membership, col(Membership.person_id) == Person.id)
        .where(which)
        .order_by(func.lower(func.coalesce(col(Person.full_name), col(Person.name))), Person.id)
    )
    found = session.exec(query).all()
    higher = select(ProjectRole).where(
        col(ProjectRole.person_id).in_([person.id for person, _ in found])
    )
    roles: dict[str, dict[str, str]] = {}
    for one in session.exec(higher):
        roles.setdefault(one.person_id, {})[one.project_id] = one.role
    return [
        Member(person, its.organisation_id, its.role, roles.get(person.id, {}))
        for person, its in found
    ]
