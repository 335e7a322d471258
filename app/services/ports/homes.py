"""The port to the home folders that sandboxed agents get."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Lodging:
    """The home of one agent in one project: a folder that stands for HOME inside.

    `readable` are the places beyond the system's that the agent's program, its certificates and
    the project's toolchains need; `environment` is what the agent gets in place of the same names,
    and `withheld` the names that it does not get.
    """

    home: Path
    readable: Sequence[Path] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    withheld: Collection[str] = ()


class NoLodging(Exception):
    """A private home could not be made ready; the message is a sentence."""


class Homes(Protocol):
    """The private homes of this machine, one of each project and agent."""

    def lodge(
        self, project_id: str, agent: str, programs: Sequence[str], toolchains: Sequence[str]
    ) -> Lodging:
        """Make the home ready for a run, with the agent's sign-in in it.

        The `programs` are names or paths. Raises NoLodging.
        """
        ...

    def keep_in_step(self, project_id: str, agent: str) -> Sequence[str]:
        """Exchange what was renewed, here or there; sentences of what was not taken back."""
        ...

    def remove(self, project_id: str) -> None:
        """Delete the homes of a project, links not followed. Raises OSError."""
        ...

    def weigh(self) -> Mapping[str, int]:
        """Bytes of each project's homes, by its id."""
        ...
