"""Signing in at an identity provider: OpenID Connect."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from app.domain.people.emails import email_problem
from app.domain.people.groups import role_of
from app.domain.people.roles import Role
from app.domain.system.addresses import household_of
from app.errors import Forbidden, Refusal
from app.records.people.account_ledger import AccountLedger
from app.records.people.openid_ledger import OpenIdLedger, own_row
from app.records.people.people_ledger import Member, PeopleLedger, TakenName
from app.records.tables import OidcStart, Person
from app.services.people.accounts import Accounts, Client, NewSession, hash_of
from app.services.people.visitor import FRESH
from app.services.ports import IdentityProvider, NotProved, Proof, ProvedIdentity, ProviderSilent
from app.services.rows import DEFAULT_ORGANISATION, current_act

log = structlog.get_logger()
BEGUN_LIFETIME = timedelta(minutes=10)
# the clocks of two machines
LEEWAY = timedelta(seconds=60)
SECRET_BYTES = 32
SIGN_IN_AGAIN = "sign_in_again"
STALE = (
    "This sign-in took longer than ten minutes, or was started in another browser. Please start "
    "again."
)
UNKNOWN = "The provider knows you, but no account here matches: ask an admin."
NO_GROUP = "None of your groups may use Runyard any more: ask an admin."
DISABLED = "Your account is disabled: ask an admin."
NOT_ASKED = "The provider did not ask you to sign in again."
OTHER_PERSON = "You signed in as someone else at the provider: sign out there first."
OTHER_ROLE = "Your role has changed: sign out, and sign in again."


class SignInRefused(Forbidden):
    """You could not be signed in."""


class ProviderAway(Refusal):
    """The identity provider does not answer: try again in a moment."""

    code, status = "provider_unavailable", 502


@dataclass(frozen=True)
class Begun:
    """A sign-in that goes on at the provider: where, its state, and the browser's secret."""

    address: str
    state: str
    secret: str


@dataclass(frozen=True)
class Ended:
    """A sign-in that worked; `session` is None if it only made the browser's session fresh."""

    session: NewSession | None
    wanted: str


class OpenIdSignIn:
    """Signs in people whom a provider names.

    Its key for a person is the issuer with the subject. Somebody new there needs an invitation to
    the address that the provider has verified, or a group that `groups` gives a role.
    """

    def __init__(
        self,
        ledgers: tuple[OpenIdLedger, AccountLedger, PeopleLedger],
        accounts: Accounts,
        provider: IdentityProvider,
        groups: Mapping[str, Role],
    ) -> None:
        self._ledger, self._people, self._members = ledgers
        self._accounts = accounts
        self._provider = provider
        self._groups = groups

    @property
    def host(self) -> str:
        """The provider's host, as people know it."""
        return self._provider.host

    def begin(
        self, back: str, wanted: str, client: Client, now: datetime, *, is_again: bool
    ) -> Begun:
        """Begin a sign-in. Raises ProviderAway."""
        proof = Proof(*(secrets.token_urlsafe(SECRET_BYTES) for _ in range(3)))
        secret = secrets.token_urlsafe(SECRET_BYTES)
        try:
            address = self._provider.address_for(proof, back, again=is_again)
        except ProviderSilent as silence:
            raise self._away(silence) from silence
        start = OidcStart(
            id=hash_of(secret),
            state=proof.state,
            nonce=proof.nonce,
            verifier=proof.verifier,
            wanted=wanted,
            is_again=is_again,
            address=household_of(client.address or ""),
            created_at=now,
            expires_at=now + BEGUN_LIFETIME,
        )
        self._ledger.begin(start)
        return Begun(address, proof.state, secret)

    def end(
        self,
        secret: str,
        state: str,
        code: str,
        back: str,
        cookie: str,
        client: Client,
        now: datetime,
    ) -> Ended:
        """End a sign-in by what the provider sent the browser back with.

        `cookie` is that of the browser's session, "" if it has none. Raises SignInRefused and
        ProviderAway.
        """
        start = self._ledger.take(hash_of(secret), state, now) if secret and state else None
        if start is None:
            raise SignInRefused(STALE)
        identity = self._identity(start, back, code)
        if start.is_again:
            self._prove(start, identity, cookie, now)
            return Ended(None, start.wanted)
        person = self._person_of(identity, now)
        since = identity.proved_at
        if since is None or since > now + LEEWAY:
            # it let somebody in without asking, as far as it says: that is not fresh
            since = now - FRESH
        session = self._accounts.open_session(person.id, now, client, proved_at=min(since, now))
        if cookie:
            self._accounts.sign_out(cookie)
        return Ended(session, start.wanted)

    def _identity(self, start: OidcStart, back: str, code: str) -> ProvedIdentity:
        proof = Proof(start.state, start.nonce, start.verifier)
        try:
            return self._provider.identity(proof, back, code)
        except ProviderSilent as silence:
            raise self._away(silence) from silence
        except NotProved as refusal:
            log.warning("sign_in_not_proved", provider=self.host, because=repr(refusal.__cause__))
            raise SignInRefused(str(refusal)) from refusal

    def _away(self, silence: ProviderSilent) -> ProviderAway:
        # the page tells everybody as little as this; the log is the operator's
        log.warning("identity_provider_silent", provider=self.host, because=repr(silence.__cause__))
        return ProviderAway()

    def _prove(
        self, start: OidcStart, identity: ProvedIdentity, cookie: str, now: datetime
    ) -> None:
        # changes nobody: whose browser this is was not known when the provider was asked
        person = self._ledger.by_subject(identity.subject)
        visitor = self._accounts.who(cookie, None, now) if cookie else None
        if person is None or visitor is None or visitor.person_id != person.id:
            raise SignInRefused(OTHER_PERSON)
        if person.is_of_groups and role_of(identity.groups, self._groups) != visitor.role:
            raise SignInRefused(OTHER_ROLE)
        proved_at = identity.proved_at
        if proved_at is None or not start.created_at - LEEWAY <= proved_at <= now + LEEWAY:
            raise SignInRefused(NOT_ASKED)
        if (act := current_act()) is not None:
            act.deed, act.person, act.object = SIGN_IN_AGAIN, person.id, person.id
        self._accounts.prove(cookie, now)

    def _person_of(self, identity: ProvedIdentity, now: datetime) -> Person:
        role = role_of(identity.groups, self._groups)
        person = (
            self._ledger.by_subject(identity.subject)
            or self._invited(identity)
            or self._newcomer(identity, role, now)
        )
        if person.disabled_at is not None:
            raise SignInRefused(DISABLED)
        if person.is_of_groups:
            self._follow_groups(person, role, now)
        return person

    def _follow_groups(self, person: Person, role: Role | None, now: datetime) -> None:
        if role is None:
            self._ledger.lapse(person.id, now)
            raise SignInRefused(NO_GROUP)
        self._ledger.give_role(person.id, role)

    def _invited(self, identity: ProvedIdentity) -> Person | None:
        email = _email_of(identity)
        person = self._people.by_email(email) if email else None
        if person is None:
            return None
        if person.oidc_subject is None and self._ledger.bind(person.id, identity.subject):
            return person
        return self._first_of(identity)

    def _newcomer(self, identity: ProvedIdentity, role: Role | None, now: datetime) -> Person:
        email = _email_of(identity)
        if role is None or email is None:
            raise SignInRefused(UNKNOWN)
        person = Person(
            id=self._people.stores.mint_control_id("person", now),
            name=email,
            full_name=identity.name,
            email=email,
            oidc_subject=identity.subject,
            is_of_groups=True,
            created_at=now,
        )
        try:
            with own_row("add_person"):
                self._members.invite(Member(person, DEFAULT_ORGANISATION, role, {}))
        except TakenName:
            return self._first_of(identity)
        return person

    def _first_of(self, identity: ProvedIdentity) -> Person:
        """Return whom another sign-in of the same subject has just made. Raises SignInRefused."""
        person = self._ledger.by_subject(identity.subject)
        if person is None:
            raise SignInRefused(UNKNOWN)
        return person


def _email_of(identity: ProvedIdentity) -> str | None:
    """Return the verified address as accounts have it; look-alikes of other alphabets have none."""
    email = identity.email
    if email is None or not email.isascii() or email_problem(email) or email != email.strip():
        return None
    return email.lower()
