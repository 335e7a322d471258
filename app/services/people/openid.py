"""Signing in at an identity provider: OpenID Connect."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from app.domain.people.emails import clean_email, email_problem
from app.domain.people.groups import role_of
from app.domain.people.roles import Role
from app.errors import Forbidden, RateLimited, Refusal
from app.records.people.account_ledger import AccountLedger
from app.records.people.openid_ledger import OpenIdLedger
from app.records.people.people_ledger import Member, PeopleLedger, TakenName
from app.records.tables import OidcStart, Person
from app.services.people.accounts import Accounts, Client, NewSession, hash_of
from app.services.people.visitor import FRESH
from app.services.ports import IdentityProvider, NotProved, Proof, ProvedIdentity, ProviderSilent
from app.services.rows import DEFAULT_ORGANISATION

log = structlog.get_logger()
BEGUN_LIFETIME = timedelta(minutes=10)
# the clocks of two machines
LEEWAY = timedelta(seconds=60)
SECRET_BYTES = 32
STALE = "This sign-in took longer than ten minutes, or was begun in another browser: begin again."
UNKNOWN = "You are signed in there, but nobody has invited you to Runyard: ask an admin."
NO_GROUP = "None of your groups may use Runyard any more: ask an admin."
DISABLED = "Your account is disabled: ask an admin."
NOT_ASKED = "The provider did not ask you to sign in again."
OTHER_PERSON = "You signed in as somebody else there: sign out first."


class SignInRefused(Forbidden):
    """You could not be signed in."""


class ProviderAway(Refusal):
    """The identity provider does not answer: try again in a moment."""

    code, status = "provider_unavailable", 502


class TooManyBegun(RateLimited):
    """Too many sign-ins were begun and not ended: try again in ten minutes."""


@dataclass(frozen=True)
class Begun:
    """A sign-in that goes on at the provider: where, and the secret that its browser keeps."""

    address: str
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

    def begin(self, back: str, wanted: str, now: datetime, *, is_again: bool) -> Begun:
        """Begin a sign-in. Raises ProviderAway and TooManyBegun."""
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
            created_at=now,
            expires_at=now + BEGUN_LIFETIME,
        )
        if not self._ledger.begin(start):
            raise TooManyBegun(retry_after=int(BEGUN_LIFETIME.total_seconds()))
        return Begun(address, secret)

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
        start = self._ledger.take(hash_of(secret), now) if secret else None
        if start is None or not hmac.compare_digest(start.state.encode(), state.encode()):
            raise SignInRefused(STALE)
        proof = Proof(start.state, start.nonce, start.verifier)
        try:
            identity = self._provider.identity(proof, back, code)
        except ProviderSilent as silence:
            raise self._away(silence) from silence
        except NotProved as refusal:
            log.warning("sign_in_not_proved", provider=self.host, because=repr(refusal.__cause__))
            raise SignInRefused(str(refusal)) from refusal
        person = self._person_of(identity, now)
        proved_at = identity.proved_at
        if start.is_again:
            self._prove(start, identity, person, cookie, now)
            return Ended(None, start.wanted)
        # a provider that lets somebody in without asking proves little: what needs a fresh sign-in
        # asks for one
        is_fresh = proved_at is not None and proved_at <= now + LEEWAY
        since = min(proved_at, now) if is_fresh and proved_at is not None else now - FRESH
        session = self._accounts.open_session(person.id, now, client, proved_at=since)
        return Ended(session, start.wanted)

    def _away(self, silence: ProviderSilent) -> ProviderAway:
        # the page tells everybody as little as this; the log is the operator's
        log.warning("identity_provider_silent", provider=self.host, because=repr(silence.__cause__))
        return ProviderAway()

    def _prove(
        self,
        start: OidcStart,
        identity: ProvedIdentity,
        person: Person,
        cookie: str,
        now: datetime,
    ) -> None:
        visitor = self._accounts.who(cookie, None, now) if cookie else None
        if visitor is None or visitor.person_id != person.id:
            raise SignInRefused(OTHER_PERSON)
        if identity.proved_at is None or identity.proved_at < start.created_at - LEEWAY:
            raise SignInRefused(NOT_ASKED)
        self._accounts.prove(cookie, now)

    def _person_of(self, identity: ProvedIdentity, now: datetime) -> Person:
        role = role_of(identity.groups, self._groups)
        person = self._ledger.by_subject(identity.subject)
        if person is None:
            person = self._invited(identity) or self._newcomer(identity, role, now)
        if person.disabled_at is not None:
            raise SignInRefused(DISABLED)
        if person.is_of_groups:
            if role is None:
                self._accounts.sign_out_everywhere(person.id)
                raise SignInRefused(NO_GROUP)
            if self._ledger.role(person.id) != role:
                self._ledger.set_role(person.id, role)
        return person

    def _invited(self, identity: ProvedIdentity) -> Person | None:
        email = clean_email(identity.email or "")
        person = self._people.by_email(email) if email else None
        if person is None:
            return None
        if person.oidc_subject is not None or not self._ledger.bind(person.id, identity.subject):
            raise SignInRefused(UNKNOWN)
        return person

    def _newcomer(self, identity: ProvedIdentity, role: Role | None, now: datetime) -> Person:
        email = clean_email(identity.email or "")
        if role is None or not email or email_problem(email):
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
            self._members.invite(Member(person, DEFAULT_ORGANISATION, role, {}))
        except TakenName as taken:
            raise SignInRefused(UNKNOWN) from taken
        return person
