"""Signing in: who sends a request, by a browser session, a token or the data folder's token."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Lock

from app.domain.people.preferences import Preferences
from app.domain.people.roles import Role, Scope
from app.domain.secret_masks import Secret
from app.errors import StoreUnavailable
from app.records.database.database import DatabaseSilent
from app.records.feed import Feed, Numbered, PeopleChanged
from app.records.people.account_ledger import Account, AccountLedger
from app.records.people.people_ledger import PeopleLedger
from app.records.people.session_ledger import IDLE, USED_EVERY, SessionLedger
from app.records.tables import LoginLink, Person, SignIn
from app.services.people.visitor import Visitor
from app.services.system.token_file import (
    TOKEN_FILE,
    is_secret,
    new_secret,
    read_token,
    rotate_token,
)

OPERATOR = "operator"
LOCAL_TOKEN = "local"  # noqa: S105  (a name)
TOKEN_BEGINNING = "ry_"  # noqa: S105  (not a secret)
LINK_LIFETIME = timedelta(minutes=5)
POSTED_LIFETIME = timedelta(seconds=60)
SESSION_LIFETIME = timedelta(days=30)
# a change on another server with the same database takes effect here within this time
RECALL_LIFETIME = timedelta(seconds=30)
TOKEN_USED_EVERY = timedelta(minutes=1)
MAX_RECALLED = 1024
MAX_BROWSER = 200


@dataclass(frozen=True, slots=True)
class NewSession:
    """A new browser session: the cookie's value, its form token and its end (UTC)."""

    cookie: str
    csrf: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class _Recalled:
    visitor: Visitor
    expires_at: datetime
    read_at: datetime


@dataclass(frozen=True, slots=True)
class Client:
    """Where a sign-in comes from, for the list of a person's sessions."""

    address: str | None = None
    browser: str | None = None


class Accounts:
    """People's sessions and tokens; only hashes of links, cookies and tokens are stored.

    What was read is remembered for RECALL_LIFETIME, or until a person changes.
    """

    def __init__(
        self,
        ledgers: tuple[AccountLedger, SessionLedger, PeopleLedger],
        *,
        entropy: Callable[[int], bytes],
        data_dir: Path,
        feed: Feed | None = None,
        of_runs: Callable[[str, datetime], Visitor | None] = lambda _, __: None,
    ) -> None:
        self._ledger, self._sessions, self._people = ledgers
        self._entropy = entropy
        self._of_runs = of_runs
        self._file = data_dir / TOKEN_FILE
        self._token = read_token(self._file, entropy).encode()
        self._lock = Lock()
        self._recalled: dict[str, _Recalled] = {}
        self._changes = 0
        self._bearer: _Recalled | None = None
        self._last_bearer: Visitor | None = None
        self._uses: dict[str, Event] = {}
        self._on_end: tuple[Callable[[], None], ...] = ()
        # as far as it is known: a person can sign in with a password
        self.has_passwords = False
        # the host of the identity provider, if there is one
        self.provider: str | None = None
        if feed is not None:
            feed.subscribe(self._on_change, PeopleChanged)

    def on_sign_out(self, listener: Callable[[], None]) -> None:
        """Call `listener()`, on any thread, each time a session or token ends or a role changes."""
        self._on_end = (*self._on_end, listener)

    def operator(self, now: datetime) -> Person:
        """Return the one local person, created at the first start."""
        operator = self._ledger.operator(OPERATOR, now)
        self.has_passwords = self._ledger.has_password_holder()
        return operator

    def secrets(self) -> tuple[Secret, ...]:
        """Return the secrets that must be masked in everything that leaves this server."""
        return (Secret("Runyard's token", self._token.decode()),)

    def make_link_token(self, now: datetime, lifetime: timedelta = LINK_LIFETIME) -> str:
        """Create a secret that signs the operator in once, within `lifetime`."""
        return self.make_link(self.operator(now).id, now, lifetime)

    def make_link(
        self, person_id: str, now: datetime, lifetime: timedelta, *, sets_password: bool = False
    ) -> str:
        """Create a secret that signs a person in once, or lets them set a password once."""
        token = new_secret(self._entropy)
        self._ledger.add_link(
            LoginLink(
                token_hash=hash_of(token),
                person_id=person_id,
                sets_password=sets_password,
                created_at=now,
                expires_at=now + lifetime,
            )
        )
        return token

    def use_of(self, token: str) -> Event:
        """Return the event that is set once a link's secret is used to sign in at this server."""
        return self._uses.setdefault(hash_of(token), Event())

    def sign_in(
        self,
        token: str,
        now: datetime,
        client: Client = Client(),
        *,
        within: timedelta = LINK_LIFETIME,
    ) -> NewSession | None:
        """Open a session by a secret not older than `within`. None if it is used or unknown."""
        key = hash_of(token)
        known = is_secret(token)
        person_id = self._ledger.use_link(key, now, now - within) if known else None
        if person_id is None:
            return None
        if (used := self._uses.pop(key, None)) is not None:
            used.set()
        return self.open_session(person_id, now, client)

    def open_session(
        self, person_id: str, now: datetime, client: Client, *, proved_at: datetime | None = None
    ) -> NewSession:
        """Open a session for a person who has proved who they are, at `proved_at` if not now."""
        cookie, csrf = new_secret(self._entropy), new_secret(self._entropy)
        expires_at = now + SESSION_LIFETIME
        self._sessions.add(
            SignIn(
                cookie_hash=hash_of(cookie),
                id=self._ledger.stores.mint_control_id("session", now),
                person_id=person_id,
                csrf=csrf,
                created_at=now,
                proved_at=proved_at or now,
                used_at=now,
                expires_at=expires_at,
                address=client.address,
                browser=(client.browser or "")[:MAX_BROWSER] or None,
            )
        )
        return NewSession(cookie, csrf, expires_at)

    def recall(self, cookie: str | None, bearer: str | None, now: datetime) -> Visitor | None:
        """Return the caller from memory alone; None means only that `who` must be called."""
        if bearer is not None and self._is_token(bearer):
            known = self._bearer
        else:
            secret = bearer if bearer is not None else cookie
            known = self._recalled.get(hash_of(secret)) if secret else None
        if known is None or not known.read_at <= now < known.read_at + RECALL_LIFETIME:
            return None
        return known.visitor if now < known.expires_at else None

    def who(self, cookie: str | None, bearer: str | None, now: datetime) -> Visitor | None:
        """Return the caller, or None; a bearer token, if given, decides alone.

        Reads the database if memory does not know. Raises StoreUnavailable.
        """
        known = self.recall(cookie, bearer, now)
        if known is not None:
            return known
        try:
            if bearer is not None:
                return self._holder_of_token(bearer, now)
            return self._holder_of(hash_of(cookie), now) if cookie and is_secret(cookie) else None
        except DatabaseSilent as error:
            raise StoreUnavailable(retry_after=2) from error

    def prove(self, cookie: str, now: datetime) -> None:
        """Record that the person of a session has just proved who they are."""
        key = hash_of(cookie)
        self._sessions.prove(key, now)
        self._forget()

    def sign_out(self, cookie: str) -> None:
        """End a browser session at once."""
        self._sessions.end(hash_of(cookie))
        self._end()

    def sign_out_everywhere(self, person_id: str | None = None) -> int:
        """End all browser sessions at once, of one person if given. Return how many."""
        ended = self._sessions.end_all(person_id)
        self._end()
        return ended

    def rotate_token(self) -> None:
        """Replace the local token; the old one is invalid at once."""
        self._token = rotate_token(self._file, self._entropy).encode()
        self._end()

    def _end(self) -> None:
        self._forget()
        for listener in self._on_end:
            listener()

    def _on_change(self, _: Numbered) -> None:
        with suppress(DatabaseSilent):
            self.has_passwords = self._ledger.has_password_holder()
        self._end()

    def _forget(self) -> None:
        with self._lock:
            self._changes += 1
            self._recalled.clear()
            self._bearer = None

    def _is_token(self, bearer: str) -> bool:
        return hmac.compare_digest(bearer.encode(), self._token)

    def _holder_of_token(self, bearer: str, now: datetime) -> Visitor | None:
        changes = self._changes
        if self._is_token(bearer):
            try:
                account = self._ledger.account(self.operator(now).id)
            except DatabaseSilent:
                # the file proves who it is: what needs no database goes on
                if self._last_bearer is None:
                    raise
                return self._last_bearer
            if account is None:
                return None
            visitor = _visitor(account)
            is_admin = visitor.role is Role.ADMIN
            visitor = replace(visitor, token=LOCAL_TOKEN, may_all=is_admin)
            with self._lock:
                if changes == self._changes:
                    self._bearer = _Recalled(visitor, now + SESSION_LIFETIME, now)
                    self._last_bearer = visitor
            return visitor
        if not bearer.startswith(TOKEN_BEGINNING):
            return None
        token = self._people.token(hash_of(bearer), now)
        if token is None:
            # not remembered: it ends with its run, at once
            return self._of_runs(bearer, now)
        account = self._ledger.account(token.person_id)
        if account is None:
            return None
        if token.last_used_at is None or now - token.last_used_at >= TOKEN_USED_EVERY:
            self._people.note_use(token.id, now)
        visitor = replace(
            _visitor(account),
            token=token.name,
            access_id=token.id,
            scopes=frozenset(Scope(one) for one in token.scopes),
            projects=None if token.projects is None else frozenset(token.projects),
        )
        self._keep(hash_of(bearer), _Recalled(visitor, token.expires_at, now), changes)
        return visitor

    def _holder_of(self, key: str, now: datetime) -> Visitor | None:
        changes = self._changes
        session = self._sessions.find(key, now)
        account = self._ledger.account(session.person_id) if session else None
        if session is None or account is None:
            with self._lock:
                self._recalled.pop(key, None)
            return None
        if now - session.used_at >= USED_EVERY:
            self._sessions.note_use(key, now)
        is_asked = account.person.password_hash or account.person.oidc_subject
        visitor = replace(
            _visitor(account),
            csrf=session.csrf,
            access_id=session.id,
            proved_at=session.proved_at if is_asked else None,
            may_all=not is_asked and account.role == Role.ADMIN,
        )
        expires_at = min(session.expires_at, now + IDLE)
        self._keep(key, _Recalled(visitor, expires_at, now), changes)
        return visitor

    def _keep(self, key: str, recalled: _Recalled, changes: int) -> None:
        with self._lock:
            # a change since the read may have ended this session: do not remember it
            if changes != self._changes:
                return
            self._recalled.pop(key, None)
            if len(self._recalled) >= MAX_RECALLED:
                self._recalled.pop(next(iter(self._recalled)))
            self._recalled[key] = recalled


def _visitor(account: Account) -> Visitor:
    person = account.person
    chosen = Preferences(person.look, person.time_zone) if person.email is not None else None
    return Visitor(
        person_id=person.id,
        name=person.shown_name,
        preferences=chosen,
        has_password=person.password_hash is not None,
        csrf=None,
        organisation_id=account.organisation_id,
        role=Role(account.role),
        project_roles={one: Role(role) for one, role in account.project_roles.items()},
    )


def hash_of(secret: str) -> str:
    """Return the hash by which a secret of full entropy is stored."""
    return hashlib.sha256(secret.encode()).hexdigest()
