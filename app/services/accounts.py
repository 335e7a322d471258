"""Who is there: the local operator's token, sign-in links and browser sessions."""

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
from threading import Lock

from app.errors import StoreUnavailable
from app.records.account_ledger import AccountLedger
from app.records.database import DatabaseSilent
from app.records.tables import LoginLink, Person, SignIn

OPERATOR = "operator"
TOKEN_FILE = "token"  # noqa: S105  (a file's name)
LINK_LIFETIME = timedelta(minutes=5)
SESSION_LIFETIME = timedelta(days=30)
# another server on the same database may sign somebody out: seen here after this long
RECALL_LIFETIME = timedelta(seconds=30)
MAX_RECALLED = 1024
SECRET_BYTES, SECRET_LENGTH = 32, 43


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who is signed in; `csrf` is None for callers with the token."""

    person_id: str
    name: str
    csrf: str | None


@dataclass(frozen=True, slots=True)
class NewSession:
    """A browser's new session: the cookie's value, its form token and its end (UTC)."""

    cookie: str
    csrf: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class _Recalled:
    visitor: Visitor
    expires_at: datetime
    read_at: datetime


class Accounts:
    """The people of this Runyard; secrets are compared in constant time and stored hashed."""

    def __init__(
        self, ledger: AccountLedger, *, entropy: Callable[[int], bytes], data_dir: Path
    ) -> None:
        self._ledger = ledger
        self._entropy = entropy
        self._token = _token_of(data_dir / TOKEN_FILE, entropy).encode()
        self._lock = Lock()
        self._recalled: dict[str, _Recalled] = {}
        self._sign_outs = 0
        self._bearer: Visitor | None = None

    def operator(self, now: datetime) -> Person:
        """The one local person, made at the first start."""
        return self._ledger.operator(OPERATOR, now)

    def secrets(self) -> tuple[bytes, ...]:
        """What nothing that leaves this server may hold, whoever wrote it there."""
        return (self._token,)

    def make_link_token(self, now: datetime) -> str:
        """A secret that signs the operator in once, within five minutes."""
        token = _new_secret(self._entropy)
        self._ledger.add_link(
            LoginLink(
                token_hash=_hash(token),
                person_id=self.operator(now).id,
                created_at=now,
                expires_at=now + LINK_LIFETIME,
            )
        )
        return token

    def sign_in(self, token: str, now: datetime) -> NewSession | None:
        """A new session for a link's secret; None where it is used, over or unknown."""
        person_id = self._ledger.use_link(_hash(token), now) if _is_secret(token) else None
        if person_id is None:
            return None
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
        """Who this is, from memory alone; None says only that `who` has to be asked."""
        if bearer is not None:
            return self._bearer if self._is_token(bearer) else None
        known = self._recalled.get(_hash(cookie)) if cookie else None
        if known is None or not known.read_at <= now < known.read_at + RECALL_LIFETIME:
            return None
        return known.visitor if now < known.expires_at else None

    def who(self, cookie: str | None, bearer: str | None, now: datetime) -> Visitor | None:
        """Who sends this; a bearer, where there is one, decides alone.

        Reads the database where memory does not know. Raises StoreUnavailable.
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
        """End a browser's session, at once."""
        key = _hash(cookie)
        self._ledger.end_session(key)
        with self._lock:
            self._sign_outs += 1
            self._recalled.pop(key, None)

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
            # a sign-out since the read may have been of this very session: ask again next time
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
    """The token in `file`; made where there is none, or only a piece of one."""
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
            # whole or not at all, and never over the token of a server that started beside us
            os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)
    return (_read_private(file) or "").strip()


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
