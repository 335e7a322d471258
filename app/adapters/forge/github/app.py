"""Signing in as a GitHub App: a key of its own, and tokens for an hour where it is installed."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from app.adapters.forge.client import NotThere
from app.adapters.forge.gitea_rows import moment_of, part_of, said_by, text_of
from app.adapters.forge.github.client import GithubClient
from app.adapters.forge.meter import Meter
from app.services.ports import ForgeSilent

# GitHub takes a signed claim for ten minutes at most, and clocks differ
CLAIM_BEFORE, CLAIM_AFTER = timedelta(minutes=1), timedelta(minutes=8)
# a push must not outlive the token that it began with
RENEWED_BEFORE = timedelta(minutes=15)
# how long an account's refusal is believed, seconds
REFUSED_SECONDS = 300.0
# what a claim allows for between two clocks, seconds
SKEW = 15.0
# of permissions; each includes those before it
_LEVELS = ("read", "write", "admin")
# by the names on GitHub's pages, where its API has others
_KEYS = {"commit statuses": "statuses"}


class UnusableKey(ValueError):
    """The text is not a private key by which GitHub knows an App."""


@dataclass(frozen=True)
class Installation:
    """A place where an App is installed, and what it was granted there."""

    id: int
    owner: str
    permissions: dict[str, str]
    is_suspended: bool

    @property
    def may_push(self) -> bool:
        """True if it was granted to push: rows of repositories say of every App that it may not."""
        return not lacking(("contents: write",), self.permissions)


@dataclass(frozen=True)
class _Refusal:
    """Why nothing was lent for an account, what was known of it then, and until when it holds."""

    said: str
    needs_attention: bool
    place: Installation | None
    until: datetime


@dataclass
class _Lent:
    token: str = field(repr=False)
    until: datetime


class _AppClient(GithubClient):
    """Talks to GitHub as the App itself."""

    refusal = "GitHub refused the App's ID or private key"


class AppSignIn:
    """The sign-in of one App; `note` is told each token that it was lent, to be masked."""

    def __init__(
        self,
        api: str,
        app_id: str,
        private_key: str,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        note: Callable[[str], None] = lambda _: None,
        meter: Meter | None = None,
    ) -> None:
        self._claims = _Claims(app_id, read_key(private_key), now, lambda: self._client.ahead)
        self._now, self._note = now, note
        # one for all, so that its pauses hold for everybody
        self._client = _AppClient(
            api, self._claims, meter=meter, wall=lambda: self._now().timestamp()
        )
        self._guard = threading.RLock()
        self._lent: dict[str, _Lent] = {}
        self._refusals: dict[str, _Refusal] = {}
        self._installed: dict[str, Installation] = {}

    @property
    def refused(self) -> str | None:
        """Why only a person can help, None if nobody is needed."""
        return self._client.refused

    def bearer(self, owner: str) -> str:
        """Return a token for what an account owns, "" for the App itself. Raises ForgeSilent."""
        if not owner:
            return self._claims.bearer(owner)
        with self._guard:
            known = self._lent.get(owner.lower())
            if known is None or known.until - self._time_there() < RENEWED_BEFORE:
                known = self._lent[owner.lower()] = self._borrow(owner.lower())
            return known.token

    def renew(self, owner: str) -> bool:
        """Forget a token that was refused, so that the next one is a new one."""
        with self._guard:
            self._refusals.pop(owner.lower(), None)
            return self._lent.pop(owner.lower(), None) is not None

    def may_push(self, owner: str) -> bool:
        """Return True if the App may push to what an account owns. Raises ForgeSilent."""
        self.bearer(owner)
        with self._guard:
            place = self._installed.get(owner.lower())
        return place is not None and place.may_push

    def is_lasting(self, owner: str) -> bool:
        """Return True for what an account owns: the App's own claim is another each time."""
        return bool(owner)

    def slug(self) -> tuple[str, dict[str, str]]:
        """Return the App's name in addresses, and the permissions it asks for."""
        answer = self._client.get("/app")
        name = text_of(answer.row, "slug")
        if not answer.is_good or not name:
            raise ForgeSilent(f"GitHub does not know this App: {said_by(answer)}")
        return name, _permissions_of(answer.row)

    def installations(self) -> list[Installation]:
        """Return where the App is installed. Raises ForgeSilent."""
        try:
            rows = self._client.pages("/app/installations")
        except NotThere as problem:
            raise ForgeSilent(said_by(problem.answer)) from problem
        found = [_installation_of(row) for row in rows]
        with self._guard:
            self._installed = {one.owner.lower(): one for one in found}
            for owner, refusal in [*self._refusals.items()]:
                # it was installed, or may work again
                if self._installed.get(owner) != refusal.place:
                    del self._refusals[owner]
        return found

    def _time_there(self) -> datetime:
        return self._now() + timedelta(seconds=self._client.ahead)

    def _borrow(self, owner: str) -> _Lent:
        """Return a new token, asking for none while the last refusal holds. Raises ForgeSilent."""
        now, known = self._now(), self._refusals.get(owner)
        left = (known.until - now).total_seconds() if known else 0.0
        if known and 0 < left <= REFUSED_SECONDS:
            raise _silence(known, left)
        place = self._installed.get(owner)
        try:
            return self._ask_for_token(owner)
        except ForgeSilent as silence:
            # the client pauses by itself after an outage or a limit
            if silence.retry_after is not None or self.refused is not None:
                raise
            until = now + timedelta(seconds=REFUSED_SECONDS)
            place = self._installed.get(owner, place)
            refusal = _Refusal(str(silence), silence.needs_attention, place, until)
            self._refusals[owner] = refusal
            raise _silence(refusal, REFUSED_SECONDS) from silence

    def _ask_for_token(self, owner: str) -> _Lent:
        place = self._installed.get(owner)
        if place is None or place.is_suspended:
            self.installations()
            place = self._installed.get(owner)
        if place is None or place.is_suspended:
            said = "is suspended" if place else "is not installed"
            raise ForgeSilent(f"the App {said} at {owner}", needs_attention=True)
        path = f"/app/installations/{place.id}/access_tokens"
        # a second token does no harm: it ends by itself
        answer = self._client.send("POST", path, {})
        token, until = text_of(answer.row, "token"), moment_of(answer.row.get("expires_at"))
        if not answer.is_good or not token or until is None:
            # it may have been installed anew, under another number
            self._installed.pop(owner, None)
            raise ForgeSilent(f"GitHub lent the App no token: {said_by(answer)}")
        self._note(token)
        return _Lent(token, until)


class _Claims:
    """The claims of an App, signed by its key: JSON Web Tokens.

    `ahead` tells by how many seconds GitHub's clock is ahead of this machine's.
    """

    refused: str | None = None

    def __init__(
        self,
        app_id: str,
        key: RSAPrivateKey,
        now: Callable[[], datetime],
        ahead: Callable[[], float],
    ) -> None:
        self._app_id, self._key, self._now, self._ahead = app_id, key, now, ahead
        # what was added to this machine's time in the last claim, seconds
        self._added = 0.0

    def renew(self, owner: str) -> bool:
        """Return True if GitHub's answer told another time than the refused claim was made for."""
        return abs(self._ahead() - self._added) > SKEW

    def is_lasting(self, owner: str) -> bool:
        """Return False: each claim is another one."""
        return False

    def bearer(self, owner: str) -> str:
        """Return a new claim."""
        self._added = self._ahead()
        now = self._now() + timedelta(seconds=self._added)
        claim = {
            "iat": int((now - CLAIM_BEFORE).timestamp()),
            "exp": int((now + CLAIM_AFTER).timestamp()),
            "iss": self._app_id,
        }
        said = ".".join(_coded(json.dumps(one).encode()) for one in (_HEADER, claim))
        signature = self._key.sign(said.encode(), PKCS1v15(), SHA256())
        return f"{said}.{_coded(signature)}"


_HEADER = {"alg": "RS256", "typ": "JWT"}


def read_key(text: str) -> RSAPrivateKey:
    """Return the private key of a PEM text. Raises UnusableKey."""
    try:
        key = load_pem_private_key(text.strip().encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as problem:
        raise UnusableKey("this is not a private key in PEM form") from problem
    if not isinstance(key, RSAPrivateKey):
        raise UnusableKey("this is not an RSA key, as GitHub's are")
    return key


def lacking(needed: Iterable[str], granted: dict[str, str]) -> list[str]:
    """Return those of permissions such as `contents: write` that were not granted."""
    found: list[str] = []
    for one in needed:
        name, _, level = one.partition(": ")
        given = granted.get(_KEYS.get(name, name.replace(" ", "_")))
        if given not in _LEVELS or _LEVELS.index(given) < _LEVELS.index(level):
            found.append(one)
    return found


def _silence(refusal: _Refusal, left: float) -> ForgeSilent:
    return ForgeSilent(
        refusal.said, retry_after=max(1, round(left)), needs_attention=refusal.needs_attention
    )


def _coded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _installation_of(row: dict[str, Any]) -> Installation:
    number = row.get("id")
    if not isinstance(number, int):
        raise ForgeSilent("its answer has no number")
    owner = text_of(part_of(row, "account"), "login")
    return Installation(number, owner, _permissions_of(row), bool(row.get("suspended_at")))


def _permissions_of(row: Any) -> dict[str, str]:
    found = part_of(row, "permissions")
    return {name: value for name, value in found.items() if isinstance(value, str)}
