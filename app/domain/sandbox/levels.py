"""The vocabulary of sandboxes: levels, networks, services of the machine and limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class SandboxLevel(StrEnum):
    """How much of the machine an agent sees."""

    CONTAINED = "contained"
    SANDBOXED = "sandboxed"
    NONE = "none"


class NetworkRule(StrEnum):
    """The network that an agent reaches at the level `sandboxed`."""

    ALL = "all"
    ALLOWED = "allowed"
    NONE = "none"


class Means(StrEnum):
    """The means that hold an agent in: the first of these that works on this machine."""

    BUBBLEWRAP = "bubblewrap"
    NAMESPACES = "util-linux"
    LANDLOCK = "landlock"


class HostService(StrEnum):
    """A service of the machine that could start programs for an agent, hidden unless allowed."""

    DOCKER = "docker"
    PODMAN = "podman"
    CONTAINERD = "containerd"
    DBUS = "dbus"
    SYSTEMD = "systemd"
    CRON = "cron"
    AT = "at"


DEFAULT_PROCESSES = 4096
# how people read the level `none`, always in red
UNSANDBOXED = "Unsandboxed"
# what it means that services of the machine are allowed
OPENS = "With these, agents can start programs outside any sandbox"
# what rows and requests called the level `sandboxed` before it had its name
_OLD_NAMES = {"bubblewrap": SandboxLevel.SANDBOXED}
# what a row names where an agent is held in
HOLDING = frozenset({*SandboxLevel, *_OLD_NAMES} - {SandboxLevel.NONE})


@dataclass(frozen=True)
class Limits:
    """The limits of one run; None: no limit. Sizes are in MB of a million bytes."""

    memory_mb: int | None = None
    processes: int | None = DEFAULT_PROCESSES
    file_mb: int | None = None
    disk_mb: int | None = None


@dataclass(frozen=True)
class SandboxPolicy:
    """The sandbox of one project's agents.

    `allowed_hosts` are `host` or `host:port`, beside those that the agent and the project's
    languages need; `toolchains` are folders that are readable at the level `sandboxed`.
    """

    level: SandboxLevel = SandboxLevel.NONE
    network: NetworkRule = NetworkRule.ALL
    allowed_hosts: tuple[str, ...] = ()
    allow: tuple[HostService, ...] = ()
    toolchains: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)

    @property
    def has_own_network(self) -> bool:
        """True where nothing of the machine's network is seen from inside."""
        return self.level is SandboxLevel.SANDBOXED and self.network is not NetworkRule.ALL

    @property
    def has_allowed_hosts(self) -> bool:
        """True where a list of hosts can be reached, and nothing else."""
        return self.has_own_network and self.network is NetworkRule.ALLOWED


def read_level(word: str) -> SandboxLevel:
    """The level of this name, an older one among them. Raises ValueError."""
    return _OLD_NAMES.get(word) or SandboxLevel(word)
