"""The port to the sandbox of this machine."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from app.domain.sandbox.levels import Means, SandboxLevel, SandboxPolicy


@dataclass(frozen=True)
class Capability:
    """The sandbox levels that this machine has; `means` is None where it has none.

    `because` says why something is not available, `remedy` what a person does about it; both are
    empty where every level can be had.
    """

    means: Means | None
    levels: Collection[SandboxLevel] = ()
    because: str = ""
    remedy: str = ""

    def can(self, level: SandboxLevel) -> bool:
        """True where a run at this level would start; `none` always can."""
        return level is SandboxLevel.NONE or level in self.levels


@dataclass(frozen=True)
class Enclosure:
    """The places of this machine that one run needs inside, whatever its level.

    `copy` is writable, `readable` (the mirror's objects, the prompt) is not. `home` is the
    private home folder that stands for HOME at the level `sandboxed`; `lent` maps folders of the
    outside to the places inside where they are writable, such as an agent's sign-in. At that
    level the `tools` are readable at their own places, too: toolchains, the agent's program.
    """

    run_id: str
    copy: Path
    readable: Sequence[Path] = ()
    home: Path | None = None
    lent: Mapping[Path, Path] = field(default_factory=dict)
    tools: Sequence[Path] = ()


class SandboxUnavailable(Exception):
    """The level that a project asks for is not available here; the message is a sentence."""


class Sandbox(Protocol):
    """Surrounds a command."""

    def probe(self, *, again: bool = False) -> Capability:
        """Find out what this machine can do by doing it; remembered unless `again`."""
        ...

    def wrap(self, enclosure: Enclosure, policy: SandboxPolicy) -> list[str]:
        """The arguments before a command that surround it; empty at the level `none`.

        Raises SandboxUnavailable.
        """
        ...
