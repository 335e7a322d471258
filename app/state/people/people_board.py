"""People, their tokens and sessions as the settings show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.api.client.client import ApiProblem
from app.api.schemas import PersonOut, TokenOut
from app.domain.people.roles import ROLE_OF_SCOPE, Role, Scope
from app.domain.quota import LIMIT_PROBLEM, MOST_PLACES

ROLES = {
    Role.VIEWER: "Viewer",
    Role.USER: "User",
    Role.OPERATOR: "Operator",
    Role.ADMIN: "Admin",
}
SCOPES = {
    Scope.READ: "Read: runs, logs and diffs",
    Scope.RUNS: "Runs: start, stop and retry",
    Scope.REVIEW: "Review: comment, merge and close",
    Scope.ADMIN: "Admin: settings, people and tokens",
}
DAYS = 90
MOST_DAYS = 365


@dataclass(frozen=True)
class PersonRow:
    """A person of the list; `state` is empty for somebody who can sign in."""

    id: str
    name: str
    email: str
    role: Role
    is_me: bool
    is_disabled: bool
    state: str
    run_quota: int | None = None
    batch_quota: int | None = None
    agents: tuple[str, ...] = ()

    @property
    def is_invitable(self) -> bool:
        """True for somebody who can set a password by a link."""
        return bool(self.email) and not self.is_disabled


def rows_of(people: Sequence[PersonOut], person_id: str) -> list[PersonRow]:
    """Return the rows of the list, oneself first, then by name, disabled ones last."""
    rows = [
        PersonRow(
            id=one.id,
            name=one.name,
            email=one.email or "",
            role=one.role,
            is_me=one.id == person_id,
            is_disabled=one.disabled,
            state=_state(one),
            run_quota=one.run_quota,
            batch_quota=one.batch_quota,
            agents=tuple(one.agents),
        )
        for one in people
    ]
    return sorted(rows, key=lambda row: (not row.is_me, row.is_disabled, row.name.casefold()))


def _state(person: PersonOut) -> str:
    if person.disabled:
        return "Disabled"
    if person.email is None:
        return "This machine"
    return "" if person.can_sign_in else "Invited"


def read_limit(typed: str) -> int | None:
    """Return a limit as it was typed, None if empty. Raises ValueError with a sentence."""
    words = typed.strip()
    if not words:
        return None
    limit = int(words) if words.isascii() and words.isdigit() and len(words) < 10 else -1
    if not 0 <= limit <= MOST_PLACES:
        raise ValueError(LIMIT_PROBLEM)
    return limit


def scopes_for(role: Role) -> list[Scope]:
    """Return the scopes that a person with this role can give a token."""
    return [scope for scope in Scope if role.includes(ROLE_OF_SCOPE[scope])]


def end_after(days: str, now: datetime) -> datetime | None:
    """Return when a token ends that is good for so many days; None unless from 1 to 365."""
    number = int(days) if days.isascii() and days.isdigit() and len(days) <= 3 else 0
    return now + timedelta(days=number) if 1 <= number <= MOST_DAYS else None


def split_tokens(
    tokens: Sequence[TokenOut], own: Sequence[TokenOut]
) -> tuple[list[TokenOut], list[TokenOut]]:
    """Return one's own tokens, and those of others."""
    mine = {one.id for one in own}
    return list(own), [one for one in tokens if one.id not in mine]


def asks_to_sign_in(problem: ApiProblem) -> bool:
    """Return True if the call would be answered after a newer sign-in."""
    return problem.members.get("sign_in_again") is True
