"""The visitor, and the one function that decides what a person may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.domain.people.deeds import DEEDS, OF_THE_MACHINE, need_of
from app.domain.people.preferences import Preferences
from app.domain.people.roles import ALL_SCOPES, Role, Scope, highest
from app.errors import Forbidden
from app.services.rows import DEFAULT_ORGANISATION

FRESH = timedelta(minutes=15)
ADD_ORGANISATION = "add_organisation"


class NotFresh(Forbidden):
    """Sign in again to do this: your last sign-in is more than 15 minutes ago."""


@dataclass(frozen=True)
class OwnIssue:
    """The one issue that a run's token opens."""

    run_id: str
    project_id: str
    number: int

    def opens(self, method: str, path: str) -> bool:
        """Return True for reading the issue and its comments, and for a comment on it."""
        issue = f"/api/v1/projects/{self.project_id}/issues/{self.number}"
        comments = f"{issue}/comments"
        return (method, path) in {("GET", issue), ("GET", comments), ("POST", comments)}


@dataclass(frozen=True)
class Visitor:
    """A signed-in person, by a browser session or a token; `csrf` is None for tokens.

    `projects` limits a token. `proved_at` is when the person last proved who they are, None where
    that is never asked: tokens, and the local operator without a password.
    """

    person_id: str
    name: str
    csrf: str | None
    organisation_id: str
    role: Role
    project_roles: Mapping[str, Role] = field(default_factory=dict[str, Role])
    scopes: frozenset[Scope] = ALL_SCOPES
    projects: frozenset[str] | None = None
    proved_at: datetime | None = None
    token: str | None = None
    # True for the local operator: nothing is refused to it in its organisation
    may_all: bool = False
    # None for the local operator, whose browsers each decide for themselves
    preferences: Preferences | None = None
    # of the browser session or the token
    access_id: str | None = None
    # False where only a provider can tell who it is, or nobody asks
    has_password: bool = False
    # of a run's agent, which is no person: `person_id` is empty then
    own_issue: OwnIssue | None = None

    def role_in(self, project_id: str | None) -> Role:
        """Return the role in a project, or in the organisation."""
        of_project = self.project_roles.get(project_id) if project_id else None
        return highest((self.role, of_project)) if of_project else self.role

    @property
    def highest_role(self) -> Role:
        """The highest role in the organisation or any of its projects."""
        return highest((self.role, *self.project_roles.values()))


def may(person: Visitor, deed: str, project_id: str | None = None) -> bool:
    """Return True if a person may do this in a project, or in the organisation."""
    need = need_of(deed)
    if need.is_general:
        project_id = None  # a role in a project does not suffice
    if need.scope not in person.scopes:
        return False
    if deed in OF_THE_MACHINE and person.organisation_id != DEFAULT_ORGANISATION:
        return False
    if person.projects is not None and project_id is not None:
        return project_id in person.projects and person.role_in(project_id).includes(need.role)
    return person.role_in(project_id).includes(need.role)


def deeds_of(person: Visitor, project_id: str | None = None) -> list[str]:
    """Return all deeds that a person may do in a project, or in the organisation."""
    may_do = [deed for deed in DEEDS if may(person, deed, project_id)]
    if person.organisation_id != DEFAULT_ORGANISATION:
        return [deed for deed in may_do if deed != ADD_ORGANISATION]
    return may_do


def may_somewhere(person: Visitor, deed: str) -> bool:
    """Return True if a person may do this in the organisation or in one of its projects."""
    need = need_of(deed)
    if need.is_general:
        return person.projects is None and may(person, deed)
    return need.scope in person.scopes and person.highest_role.includes(need.role)


def require(person: Visitor, deed: str, now: datetime, project_id: str | None = None) -> None:
    """Raise Forbidden if a person may not do this, or has to sign in again first."""
    if not may(person, deed, project_id):
        raise Forbidden(sentence_for(deed))
    require_fresh(person, deed, now)


def require_fresh(person: Visitor, deed: str, now: datetime) -> None:
    """Raise NotFresh for a deed that needs a newer sign-in than this person's."""
    is_old = person.proved_at is not None and now - person.proved_at >= FRESH
    if need_of(deed).is_fresh and is_old:
        raise NotFresh(sign_in_again=True)


def sentence_for(deed: str) -> str:
    """Return the sentence for somebody who may not do this."""
    need = need_of(deed)
    return f"This needs the role {need.role}, and for a token the scope {need.scope}."
