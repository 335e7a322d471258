"""Port to the provider at which people of an organisation sign in: OpenID Connect."""

# stands alone: one port per module, as the adapters behind them

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


class ProviderSilent(Exception):
    """The provider did not answer, or not as its description says; a sentence without secrets."""


class NotProved(Exception):
    """The provider's answer does not prove who somebody is; a sentence without secrets."""


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
