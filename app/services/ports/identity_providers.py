"""Port to the provider at which people of an organisation sign in: OpenID Connect."""

# stands alone: one port per module, as the adapters behind them

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol, cast

NO_PROOF = "The provider's answer does not prove who you are."
LONGEST_SUBJECT, LONGEST_NAME, MOST_GROUPS, LATEST_SECOND = 255, 100, 10_000, 2**33


class ProviderSilent(Exception):
    """The provider did not answer, or not as its description says; a sentence without secrets."""


class NotProved(Exception):
    """The provider's answer does not prove who somebody is; a sentence without secrets."""

    def __init__(self, sentence: str = NO_PROOF) -> None:
        super().__init__(sentence)


@dataclass(frozen=True)
class Proof:
    """The values that one sign-in sends to the provider and must find again in its answer."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)


@dataclass(frozen=True)
class ProvedIdentity:
    """The person who signed in at the provider.

    `subject` is unique among all providers. `email` is only given if the provider has verified it;
    `proved_at` (UTC) is when they last proved who they are, None if it does not say.
    """

    subject: str
    email: str | None = None
    name: str | None = None
    groups: frozenset[str] = frozenset()
    proved_at: datetime | None = None

    @classmethod
    def of_claims(cls, issuer: str, claims: dict[str, Any], more: dict[str, Any]) -> ProvedIdentity:
        """Return whom the claims of an ID token prove, and what userinfo adds to them.

        Raises NotProved, whose cause tells nothing of the claims.
        """
        subject, told = claims["sub"], more | claims
        if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT:
            raise NotProved from ValueError("a subject that cannot be used")
        if not _is_plain(subject):
            raise NotProved from ValueError("a subject with characters that cannot be seen")
        # an address and whether it is verified are never of two documents
        pair = claims if {"email", "email_verified"} <= claims.keys() else more
        return cls(
            subject=f"{issuer} {subject}",
            email=_email_of(pair),
            name=_name_of(told.get("name")),
            groups=_groups_of(told.get("groups")),
            proved_at=_time_of(claims.get("auth_time")),
        )


def _is_plain(text: str) -> bool:
    # neither control and format characters nor lone surrogates
    return all(unicodedata.category(one) not in ("Cc", "Cf", "Cs") for one in text)


def _email_of(claims: dict[str, Any]) -> str | None:
    email, is_verified = claims.get("email"), claims.get("email_verified") is True
    return email if is_verified and isinstance(email, str) and _is_plain(email) else None


def _name_of(told: Any) -> str | None:
    if not isinstance(told, str) or not _is_plain(told):
        return None
    return told.strip()[:LONGEST_NAME].strip() or None


def _groups_of(told: Any) -> frozenset[str]:
    groups = cast("list[Any]", [told] if isinstance(told, str) else told)
    if not isinstance(told, (str, list)):
        return frozenset()
    if len(groups) > MOST_GROUPS:
        raise NotProved from ValueError(f"more than {MOST_GROUPS} groups")
    return frozenset(one for one in groups if isinstance(one, str))


def _time_of(told: Any) -> datetime | None:
    is_number = isinstance(told, (int, float)) and not isinstance(told, bool)
    return datetime.fromtimestamp(told, UTC) if is_number and 0 <= told <= LATEST_SECOND else None


class IdentityProvider(Protocol):
    """Asks a provider who somebody is, by an authorization code with PKCE."""

    @property
    def host(self) -> str:
        """The provider's host, as people know it."""
        ...

    def address_for(self, proof: Proof, back: str, *, again: bool) -> str:
        """Return where a browser signs in; it is sent to `back` afterwards.

        With `again` the provider asks for the password even if it knows the browser. Raises
        ProviderSilent.
        """
        ...

    def identity(self, proof: Proof, back: str, code: str) -> ProvedIdentity:
        """Return who a code stands for. Raises ProviderSilent and NotProved."""
        ...
