"""Sign-in: the local operator's token, sign-in links and browser sessions."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Lock

from app.domain.secret_masks import Secret
from app.errors import StoreUnavailable
from app.records.database.database import DatabaseSilent
from app.records.people.account_ledger import AccountLedger
from app.records.tables import LoginLink, Person, SignIn

OPERATOR = "operator"
LOCAL_TOKEN = "local"  # noqa: S105  (a name)
TOKEN_FILE = "token"  # noqa: S105  (a file's name)
LINK_LIFETIME = timedelta(minutes=5)
POSTED_LIFETIME = timedelta(seconds=60)
SESSION_LIFETIME = timedelta(days=30)
# a sign-out on another server with the same database takes effect here within this time
RECALL_LIFETIME = timedelta(seconds=30)
MAX_RECALLED = 1024
SECRET_BYTES, SECRET_LENGTH = 32, 43


@dataclass(frozen=True, slots=True)
class Visitor:
    """A signed-in person; `csrf` is None for callers with the token."""

    person_id: str
    name: str
    csrf: str | None


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


class Accounts:
    """People and their sessions; only hashes of links and cookies are stored."""

    def __init__(
        self, ledger: AccountLedger, *, entropy: Callable[[int], bytes], data_dir: Path
    ) -> None:
        self._ledger = ledger
        self._entropy = entropy
        self._file = data_dir / TOKEN_FILE
        self._token = _token_of(self._file, entropy).encode()
        self._lock = Lock()
        self._recalled: dict[str, _Recalled] = {}
        self._sign_outs = 0
        self._bearer: Visitor | None = None
        self._uses: dict[str, Event] = {}
        self._on_end: tuple[Callable[[], None], ...] = ()

    def on_sign_out(self, listener: Callable[[], None]) -> None:
        """Call `listener()`, on any thread, each time a session or the token ends early."""
        self._on_end = (*self._on_end, listener)

    def operator(self, now: datetime) -> Person:
        """Return the one local person, created at the first start."""
        return self._ledger.operator(OPERATOR, now)

    def secrets(self) -> tuple[Secret, ...]:
        """Return the secrets that must be masked in everything that leaves this server."""
        return (Secret("Runyard's token", self._token.decode()),)

    def make_link_token(self, now: datetime, lifetime: timedelta = LINK_LIFETIME) -> str:
        """Create a secret that signs the operator in once, within `lifetime`."""
        token = _new_secret(self._entropy)
        self._ledger.add_link(
            LoginLink(
                token_hash=_hash(token),
                person_id=self.operator(now).id,
                created_at=now,
                expires_at=now + lifetime,
            )
        )
        return token

    def use_of(self, token: str) -> Event:
        """Return the event that is set once a link's secret is used to sign in at this server."""
        return self._uses.setdefault(_hash(token), Event())

    def sign_in(
        self, token: str, now: datetime, *, within: timedelta = LINK_LIFETIME
    ) -> NewSession | None:
        """Open a session by a secret not older than `within`. None if it is used or unknown."""
        key = _hash(token)
        known = _is_secret(token)
        person_id = self._ledger.use_link(key, now, now - within) if known else None
        if person_id is None:
            return None
        if (used := self._uses.pop(key, None)) is not None:
            used.set()
        cookie, csrf = _new_secret(self._entropy), _new_secret(self._entropy)
        expires_at = now + SESSION_LIFETIME
        self._ledger.add_session(
            SignIn(
                cookie_hash=_hash(cookie),
                person_id=person_id,
                csrf=csrf,
                created_at=now,
                expires_at=expires_at,
            )
        )
        return NewSession(cookie, csrf, expires_at)

    def recall(self, cookie: str | None, bearer: str | None, now: datetime) -> Visitor | None:
        """Return the caller from memory alone; None means only that `who` must be called."""
        if bearer is not None:
            return self._bearer if self._is_token(bearer) else None
        known = self._recalled.get(_hash(cookie)) if cookie else None
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
                return self._token_holder(now) if self._is_token(bearer) else None
            return self._holder_of(_hash(cookie), now) if cookie and _is_secret(cookie) else None
        except DatabaseSilent as error:
            raise StoreUnavailable(retry_after=2) from error

    def sign_out(self, cookie: str) -> None:
        """End a browser session at once."""
        key = _hash(cookie)
        self._ledger.end_session(key)
        with self._lock:
            self._sign_outs += 1
            self._recalled.pop(key, None)
        self._notify()

    def sign_out_everywhere(self) -> int:
        """End all browser sessions at once. Return how many."""
        ended = self._ledger.end_sessions()
        with self._lock:
            self._sign_outs += 1
            self._recalled.clear()
        self._notify()
        return ended

    def rotate_token(self) -> None:
        """Replace the local token; the old one is invalid at once."""
        self._token = rotate_token(self._file, self._entropy).encode()
        self._notify()

    def _notify(self) -> None:
        for listener in self._on_end:
            listener()

    def _is_token(self, bearer: str) -> bool:
        return hmac.compare_digest(bearer.encode(), self._token)

    def _token_holder(self, now: datetime) -> Visitor:
        person = self.operator(now)
        self._bearer = Visitor(person.id, person.name, None)
        return self._bearer

    def _holder_of(self, key: str, now: datetime) -> Visitor | None:
        sign_outs = self._sign_outs
        session = self._ledger.session(key)
        person = self._ledger.person(session.person_id) if session else None
        if session is None or person is None or session.expires_at <= now:
            with self._lock:
                self._recalled.pop(key, None)
            return None
        visitor = Visitor(person.id, person.name, session.csrf)
        with self._lock:
            # a sign-out since the read may have ended this session: do not cache it
            if sign_outs == self._sign_outs:
                self._keep(key, _Recalled(visitor, session.expires_at, now))
        return visitor

    def _keep(self, key: str, recalled: _Recalled) -> None:
        self._recalled.pop(key, None)
        if len(self._recalled) >= MAX_RECALLED:
            self._recalled.pop(next(iter(self._recalled)))
        self._recalled[key] = recalled


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _new_secret(entropy: Callable[[int], bytes]) -> str:
    return base64.urlsafe_b64encode(entropy(SECRET_BYTES)).rstrip(b"=").decode()


def _is_secret(text: str) -> bool:
    return len(text) == SECRET_LENGTH and text.isascii()


def _token_of(file: Path, entropy: Callable[[int], bytes]) -> str:
    """Return the token in `file`, created if it is missing or incomplete."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    token = _read_private(file)
    if token is not None and _is_secret(token):
        return token
    draft = file.with_name(f".{file.name}.{entropy(8).hex()}")
    _write_private(draft, _new_secret(entropy))
    try:
        if token is not None:
            os.replace(draft, file)
        else:
            # atomic, and never overwrites the token of a server that started at the same time
            os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)
    return (_read_private(file) or "").strip()


def rotate_token(file: Path, entropy: Callable[[int], bytes]) -> str:
    """Replace the token in `file` atomically. Return the new one."""
    draft, token = file.with_name(f".{file.name}.{entropy(8).hex()}"), _new_secret(entropy)
    _write_private(draft, token)
    try:
        os.replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)
    return token


def _read_private(file: Path) -> str | None:
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    with os.fdopen(handle, encoding="utf-8", errors="replace") as opened:
        if stat.S_IMODE(os.fstat(handle).st_mode) != 0o600:
            os.fchmod(handle, 0o600)
        return opened.read(1024).strip()


def _write_private(file: Path, text: str) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as opened:
        opened.write(text + "\n")
        opened.flush()
        os.fsync(handle)
