"""Organisations and their people: inviting, roles, disabling."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.domain.people.emails import clean_email, email_problem
from app.domain.people.roles import OWN_ROLE, Role
from app.domain.people.run_agents import NOT_A_PERSONS, is_taken_name
from app.errors import Forbidden, Invalid, NameTaken, NotFound
from app.records.people.people_ledger import Member, PeopleLedger, TakenName
from app.records.people.session_ledger import SessionLedger
from app.records.tables import Organisation, Person, SignIn
from app.records.tables.people import DEFAULT_ORGANISATION
from app.services.people.accounts import Accounts
from app.services.people.directory import Directory
from app.services.people.sign_in import INVITATION_LIFETIME, OF_GROUPS, OF_THE_MACHINE
from app.services.people.visitor import Visitor

# by column of the organisation, the limits of roles; None takes one away
RoleLimits = Mapping[str, Mapping[str, int | None]]
MOST_NAME = 100
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
LAST_ADMIN = "An organisation needs an admin: make someone else an admin first."


@dataclass(frozen=True)
class Invitation:
    """A link that lets a person set a password once, and when it ends."""

    token: str
    expires_at: datetime


class People:
    """The people of the caller's organisation; those of others do not exist for it."""

    def __init__(
        self,
        ledger: PeopleLedger,
        sessions: SessionLedger,
        accounts: Accounts,
        places: Directory,
        agents: Callable[[], Iterable[str]],
    ) -> None:
        self._ledger = ledger
        self._sessions = sessions
        self._accounts = accounts
        self._places = places
        self._agents = agents

    # --- organisations -------------------------------------------------------------------------

    def organisations(self, by: Visitor) -> Sequence[Organisation]:
        """Return the organisations that a person may know of: of `default`'s admins, all."""
        found = self._ledger.organisations()
        if _makes_organisations(by):
            return found
        return [one for one in found if one.id == by.organisation_id]

    def add_organisation(self, by: Visitor, name: str, now: datetime) -> Organisation:
        """Make an organisation. Raises Forbidden, Invalid and NameTaken."""
        if not _makes_organisations(by):
            raise Forbidden("Only admins of the organisation default make organisations.")
        organisation = Organisation(
            id=self._ledger.stores.mint_control_id("org", now), name=_name(name), created_at=now
        )
        try:
            self._ledger.add_organisation(organisation)
        except TakenName as error:
            raise _name_taken() from error
        return organisation

    def change_organisation(
        self,
        by: Visitor,
        organisation_id: str,
        *,
        name: str | None = None,
        limits: RoleLimits | None = None,
    ) -> Organisation:
        """Rename one's organisation, or set limits of its roles. Raises a Refusal."""
        known = {one.id: one for one in self.organisations(by)}
        if organisation_id not in known:
            raise NotFound
        try:
            self._ledger.change_organisation(
                organisation_id,
                name=None if name is None else _name(name),
                limits=limits,
            )
        except TakenName as error:
            raise _name_taken() from error
        return next(one for one in self._ledger.organisations() if one.id == organisation_id)

    # --- people --------------------------------------------------------------------------------

    def all(self, by: Visitor) -> list[Member]:
        """Return the people of one's organisation, by name."""
        return self._ledger.members(by.organisation_id)

    def find(self, by: Visitor, person_id: str) -> Member:
        """Return a person of one's organisation; `me` is oneself. Raises NotFound."""
        wanted = by.person_id if person_id == "me" else person_id
        member = self._ledger.member(by.organisation_id, wanted)
        if member is None:
            raise NotFound
        return member

    def names_of(self, ids: Sequence[str]) -> dict[str, str]:
        """Return the names of people for screens, by id; of unknown ones none."""
        return self._ledger.names(ids) if ids else {}

    def invite(
        self,
        by: Visitor,
        email: str,
        now: datetime,
        *,
        name: str = "",
        role: Role = Role.USER,
        organisation: str | None = None,
        projects: Mapping[str, Role] | None = None,
    ) -> tuple[Member, Invitation]:
        """Add a person, and return them with their invitation. Raises a Refusal."""
        address = clean_email(email)
        if problem := email_problem(email):
            raise Invalid.field("email", problem)
        place = self._organisation(by, organisation)
        higher = self._higher(place, role, projects or {})
        person = Person(
            id=self._ledger.stores.mint_control_id("person", now),
            name=address,
            full_name=_name(name) if name.strip() else None,
            email=address,
            created_at=now,
        )
        member = Member(person, place, role.value, higher)
        try:
            self._ledger.invite(member)
        except TakenName as error:
            told = {"field": "email", "message": "This address already has an account."}
            raise NameTaken("This address already has an account.", errors=[told]) from error
        return member, self._invitation(person.id, now)

    def invite_again(self, by: Visitor, person_id: str, now: datetime) -> Invitation:
        """Return a new link by which a person sets a password once. Raises NotFound, Invalid."""
        person = self.find(by, person_id).person
        if person.email is None:
            raise Invalid(OF_THE_MACHINE)
        if person.is_of_groups:
            raise Invalid(OF_GROUPS)
        return self._invitation(person.id, now)

    def change(
        self,
        by: Visitor,
        person_id: str,
        now: datetime,
        *,
        role: Role | None = None,
        projects: Mapping[str, Role] | None = None,
        is_disabled: bool | None = None,
        limits: Mapping[str, Any] | None = None,
    ) -> Member:
        """Change a person's limits, or roles, disable or enable them. Raises a Refusal.

        All but limits ends their sessions. `limits` has `run_quota`, `batch_quota` and `agents`.
        """
        member = self.find(by, person_id)
        is_more = any(one is not None for one in (role, projects, is_disabled))
        if is_more and member.person.id == by.person_id:
            raise Forbidden(OWN_ROLE)
        if role is not None and member.person.is_of_groups:
            raise Invalid.field("role", "This role follows the groups at the identity provider.")
        self._must_be_agents((limits or {}).get("agents", ()))
        loses_admin = member.role == Role.ADMIN and (
            is_disabled or (role is not None and role is not Role.ADMIN)
        )
        if loses_admin and self._ledger.count_admins(member.organisation_id) == 1:
            raise Invalid(LAST_ADMIN)
        higher = None
        if projects is not None:
            least = role or Role(member.role)
            higher = self._higher(member.organisation_id, least, projects)
        self._ledger.change(
            member,
            role=role.value if role else None,
            project_roles=higher,
            disabled_at=now if is_disabled else None,
            is_enabled=is_disabled is False,
            limits=limits,
        )
        return self.find(by, person_id)

    # --- sessions ------------------------------------------------------------------------------

    def sessions(self, by: Visitor, person_id: str, now: datetime) -> Sequence[SignIn]:
        """Return a person's browser sessions. Raises NotFound."""
        return self._sessions.of_person(self.find(by, person_id).person.id, now)

    def end_sessions(self, by: Visitor, person_id: str, session_id: str | None = None) -> int:
        """End a person's sessions, or one of them; return how many. Raises NotFound."""
        whose = self.find(by, person_id).person.id
        if session_id is None:
            return self._accounts.sign_out_everywhere(whose)
        if not self._sessions.end_one(whose, session_id):
            raise NotFound
        return 1

    # --- checks --------------------------------------------------------------------------------

    def _invitation(self, person_id: str, now: datetime) -> Invitation:
        lifetime = INVITATION_LIFETIME
        token = self._accounts.make_link(person_id, now, lifetime, sets_password=True)
        return Invitation(token, now + lifetime)

    def _organisation(self, by: Visitor, wanted: str | None) -> str:
        if wanted is None or wanted == by.organisation_id:
            return by.organisation_id
        for one in self.organisations(by):
            if wanted in (one.id, one.name):
                return one.id
        raise Invalid.field("organisation", "There is no such organisation.")

    def _must_be_agents(self, names: Sequence[str]) -> None:
        known = set(self._agents())
        for name in names:
            if name not in known:
                raise Invalid.field("agents", f"No agent is called {name!r}.")

    def _higher(
        self, organisation_id: str, role: Role, projects: Mapping[str, Role]
    ) -> dict[str, str]:
        known = self._places.projects_of(organisation_id)
        for project_id, higher in projects.items():
            if project_id not in known:
                raise Invalid.field("projects", "There is no such project.")
            if role.includes(higher):
                words = f"A role in a project is higher than the one in the organisation, {role}."
                raise Invalid.field("projects", words)
        return {one: higher.value for one, higher in projects.items()}


def _makes_organisations(person: Visitor) -> bool:
    return person.organisation_id == DEFAULT_ORGANISATION and person.role is Role.ADMIN


def _name(text: str) -> str:
    name = text.strip()
    if not name or len(name) > MOST_NAME or _CONTROL.search(name):
        raise Invalid.field("name", f"Write a name of at most {MOST_NAME} characters.")
    if is_taken_name(name):
        raise Invalid.field("name", NOT_A_PERSONS)
    return name


def _name_taken() -> NameTaken:
    return NameTaken(errors=[{"field": "name", "message": "Name already in use"}])
