"""Port to the sandbox of this machine."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from app.domain.sandbox.levels import Means, SandboxLevel, SandboxPolicy


@dataclass(frozen=True)
class Capability:
    """Sandbox levels available on this machine; `means` is None if there are none.

    `because` says why a level is not available, `remedy` what a person can do about it; both are
    empty if every level is. The level `none` may be forbidden by this server's settings.
    """

    means: Means | None
    levels: Collection[SandboxLevel] = ()
    because: str = ""
    remedy: str = ""
    allows_none: bool = True

    def can(self, level: SandboxLevel) -> bool:
        """Return True if a run at this level would start."""
        return self.allows_none if level is SandboxLevel.NONE else level in self.levels


@dataclass(frozen=True)
class Enclosure:
    """Paths of this machine that one run needs inside, at any level.

    `copy` is writable, `readable` (the mirror's objects, the prompt) is not. `home` is the
    private folder that replaces HOME at the level `sandboxed`; `lent` maps folders outside to
    the paths inside where they are writable, such as an agent's sign-in. At that level `tools`
    (toolchains, the agent's program) are also readable, at their own paths.
    """

    run_id: str
    copy: Path
    readable: Sequence[Path] = ()
    home: Path | None = None
    lent: Mapping[Path, Path] = field(default_factory=dict[Path, Path])
    tools: Sequence[Path] = ()


class SandboxUnavailable(Exception):
    """The level that a project asks for is not available here; the message is a sentence."""


class Sandbox(Protocol):
    """Wraps commands in a sandbox."""

    def probe(self, *, again: bool = False) -> Capability:
        """Find out by trial what this machine can do; cached unless `again`."""
        ...

    def wrap(self, enclosure: Enclosure, policy: SandboxPolicy) -> list[str]:
        """Return the arguments to put before a command; empty at the level `none`.

        Raises SandboxUnavailable.
        """
        ...
