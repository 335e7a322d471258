"""Ports to forges: what a token may there, and the pull requests that a forge keeps."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from app.services.ports.repositories import Repository


@dataclass(frozen=True)
class RequestState:
    """How a pull request stands; `state` is open, merged or closed."""

    state: str
    head_sha: str
    merged_sha: str | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True)
class Merged:
    """The result of a merge by a forge: `sha` of the merge commit, or why nothing was merged."""

    sha: str | None
    because: str = ""
    has_conflicts: bool = False


@dataclass(frozen=True)
class ForgeStanding:
    """The forge at an address, and a token's rights there; `missing` are the scopes it lacks.

    `may` is among `push`, `pull_requests` and `issues`.
    """

    kind: str
    version: str
    acts_as: str
    may: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class HostedRepository:
    """A repository at a forge, as a token sees it; `lacks` says what Runyard cannot do there."""

    full_name: str
    clone_url: str
    may_push: bool
    is_archived: bool = False
    lacks: str = ""


@dataclass(frozen=True)
class Spending:
    """What was asked of a forge: in all, and in the last minute; what it says is left.

    `remaining` and `reset_seconds` are None where a forge tells no limit.
    """

    requests: int
    last_minute: int
    remaining: int | None = None
    reset_seconds: int | None = None


class Forges(Protocol):
    """The forges that are known, and what is at an address."""

    def refresh(self) -> None:
        """Read the forges anew: one was added, changed or removed."""
        ...

    def requests_of(self, project: Any) -> PullRequests | None:
        """Return who merges a project's changes, None if Runyard does. Raises ForgeSilent."""
        ...

    def inspect(
        self, address: str, kind: str | None, token: str, app_id: str | None = None
    ) -> ForgeStanding:
        """Return what a token may do at an address, or an App with its private key.

        Raises ForgeSilent, ValueError if that key is none.
        """
        ...

    def repository(self, forge_id: str, full_name: str) -> HostedRepository | None:
        """Return a repository, None if the token sees none of this name. Raises ForgeSilent."""
        ...

    def repositories(self, forge_id: str) -> list[HostedRepository]:
        """Return the repositories that the token sees. Raises ForgeSilent."""
        ...

    def install_hook(self, forge_id: str, full_name: str, url: str, secret: str) -> str:
        """Have a repository send hooks to an address; return why not, "" if it does.

        Raises ForgeSilent.
        """
        ...

    def spending(self) -> dict[str, Spending]:
        """Return what was asked of each forge, by its id."""
        ...

    def is_any(self) -> bool:
        """Return True if a forge is known."""
        ...

    def refusals(self) -> dict[str, str]:
        """Return why only a person can help, by id of the forges that refused their token."""
        ...


class PullRequests(Protocol):
    """The pull requests of a forge, which merges and closes them itself."""

    def states(self, repo: Repository, numbers: Collection[int]) -> dict[int, RequestState]:
        """Return how these pull requests stand, and all that are open. Raises ForgeSilent.

        Those that are gone are left out.
        """
        ...

    def merge(self, repo: Repository, number: int, *, head_sha: str, message: str) -> Merged:
        """Merge a pull request at exactly this head. Raises ForgeSilent: read before repeating."""
        ...

    def close(self, repo: Repository, number: int, because: str) -> bool:
        """Close a pull request, saying why; False if it is not open. Raises ForgeSilent."""
        ...

    def settle(self, repo: Repository, number: int) -> None:
        """Close the issue of a merged pull request, if the forge leaves it open by itself.

        Raises ForgeSilent.
        """
        ...


class SecretBox(Protocol):
    """Encrypts the secrets that the database keeps."""

    def seal(self, text: str) -> str:
        """Return a text encrypted."""
        ...

    def unseal(self, sealed: str) -> str:
        """Return the text of an encrypted one."""
        ...

    def rotation(self) -> AbstractContextManager[None]:
        """Encrypt with a fresh key from now on; the ones before it are dropped at the end."""
        ...

    def opens(self, sealed: str) -> bool:
        """Return True if this server's key opens the check value."""
        ...
