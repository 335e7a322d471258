"""Tokens for programs: named, with scopes and an end, shown once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain.people.roles import ROLE_OF_SCOPE, Scope
from app.errors import Forbidden, Invalid, NotFound
from app.records.people.people_ledger import PeopleLedger
from app.records.tables import AccessToken
from app.services.people.accounts import TOKEN_BEGINNING, hash_of
from app.services.people.directory import Directory
from app.services.people.visitor import Visitor
from app.services.system.token_file import new_secret

USUAL_LIFETIME = timedelta(days=90)
LONGEST_LIFETIME = timedelta(days=365)


@dataclass(frozen=True)
class OwnedToken:
    """A token, and the name of its person."""

    row: AccessToken
    person: str


class Tokens:
    """Makes, lists and revokes tokens; only their hashes are stored."""

    def __init__(
        self, ledger: PeopleLedger, places: Directory, entropy: Callable[[int], bytes]
    ) -> None:
        self._ledger = ledger
        self._places = places
        self._entropy = entropy

    def add(
        self,
        by: Visitor,
        name: str,
        scopes: Collection[Scope],
        now: datetime,
        *,
        projects: Collection[str] | None = None,
        expires_at: datetime | None = None,
    ) -> tuple[OwnedToken, str]:
        """Make a token of one's own; return it with its text. Raises Invalid."""
        end = expires_at or now + USUAL_LIFETIME
        if not now < end <= now + LONGEST_LIFETIME:
            raise Invalid.field("expires_at", "A token ends within a year from now.")
        self._refuse_beyond(by, scopes, projects)
        text = f"{TOKEN_BEGINNING}{new_secret(self._entropy)}"
        row = AccessToken(
            id=self._ledger.stores.mint_control_id("token", now),
            person_id=by.person_id,
            name=name.strip(),
            token_hash=hash_of(text),
            scopes=[one.value for one in Scope if one in scopes],
            projects=None if projects is None else sorted(set(projects)),
            created_at=now,
            expires_at=end,
        )
        self._ledger.add_token(row)
        return OwnedToken(row, by.name), text

    def all(self, by: Visitor, *, is_of_everybody: bool = False) -> list[OwnedToken]:
        """Return one's tokens, or those of everybody in the organisation, newest first."""
        names = {by.person_id: by.name}
        if is_of_everybody:
            members = self._ledger.members(by.organisation_id)
            names = {one.person.id: one.person.shown_name for one in members}
        rows = self._ledger.tokens(list(names))
        return [OwnedToken(row, names[row.person_id]) for row in rows]

    def revoke(self, by: Visitor, token: str, now: datetime, *, is_of_anybody: bool) -> None:
        """End a token by its id or, of one's own, its name. Raises NotFound."""
        found: Sequence[OwnedToken] = self.all(by, is_of_everybody=is_of_anybody)
        own = [one for one in found if one.row.person_id == by.person_id]
        for one in [*(one for one in found if one.row.id == token), *own]:
            if token in (one.row.id, one.row.name) and self._ledger.revoke(one.row, now):
                return
        raise NotFound

    def _refuse_beyond(
        self, by: Visitor, scopes: Collection[Scope], projects: Collection[str] | None
    ) -> None:
        if not scopes:
            raise Invalid.field("scopes", "Choose at least one scope.")
        if by.csrf is None and by.access_id is not None:
            raise Forbidden("A token makes no tokens: sign in.")
        for one in scopes:
            if not by.highest_role.includes(ROLE_OF_SCOPE[one]):
                words = f"The scope {one} needs the role {ROLE_OF_SCOPE[one]}."
                raise Invalid.field("scopes", words)
        unknown = set(projects or ()) - self._places.projects_of(by.organisation_id)
        if unknown or (projects is not None and not projects):
            raise Invalid.field("projects", "There is no such project.")
