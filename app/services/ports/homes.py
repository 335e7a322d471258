"""Ports to the home folders of sandboxed agents, and to the agents' sign-ins at forges."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class PrivateHome:
    """Private home of one agent in one project: a folder that replaces HOME inside the sandbox.

    `readable` are paths beyond the system's that the agent's program, its certificates and the
    project's toolchains need. `environment` overrides the agent's variables of the same names,
    `withheld` names variables that it does not get.
    """

    home: Path
    readable: Sequence[Path] = ()
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    withheld: Collection[str] = ()


class PrivateHomeUnavailable(Exception):
    """A private home could not be prepared; the message is a sentence."""


class Homes(Protocol):
    """Private homes on this machine, one per project and agent."""

    def prepare(
        self, project_id: str, agent: str, programs: Sequence[str], toolchains: Sequence[str]
    ) -> PrivateHome:
        """Prepare the home for a run, with the agent's sign-in in it.

        `programs` are names or paths. Raises PrivateHomeUnavailable.
        """
        ...

    def keep_in_step(self, project_id: str, agent: str) -> Sequence[str]:
        """Copy renewed sign-ins both ways. Return sentences about those not taken from the home."""
        ...

    def remove(self, project_id: str) -> None:
        """Delete the homes of a project without following links. Raises OSError."""
        ...

    def measure(self) -> Mapping[str, int]:
        """Return the bytes of each project's homes, by project id."""
        ...


@dataclass(frozen=True)
class ForgePlace:
    """A project's repository at a forge; `url` is the forge's address, `origin` git's."""

    kind: str
    url: str
    repository: str
    origin: str


@dataclass(frozen=True)
class LentSignIn:
    """A copy of an agent's sign-in at a forge; `folder` holds it, `login` may be unknown ("")."""

    folder: Path
    login: str
    environment: Mapping[str, str]


class SignInUnusable(Exception):
    """A folder has no usable sign-in for a forge; the message is a sentence."""


class ForgeSignIns(Protocol):
    """Sign-ins with which agents open pull requests themselves."""

    def token(self, folder: str, at: ForgePlace) -> str:
        """Return the token for a forge in a folder. Raises SignInUnusable."""
        ...

    def lend(
        self, project_id: str, folder: str, at: ForgePlace, home: Path | None = None
    ) -> LentSignIn:
        """Copy the sign-in to where the project's agents can read it.

        A private `home` gets a link to it where the tool looks. Raises SignInUnusable.
        """
        ...

    def is_told(self, at: ForgePlace) -> bool:
        """Return True if a variable tells the tool of this forge where to look."""
        ...

    def is_default(self, folder: str, at: ForgePlace) -> bool:
        """Return True for the folder in which the tool looks by itself."""
        ...

    def remove(self, project_id: str) -> None:
        """Delete a project's copy. Raises OSError."""
        ...
