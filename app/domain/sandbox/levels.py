"""Sandbox policy: levels, network rules, host services and limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class SandboxLevel(StrEnum):
    """The levels of an agent's isolation from the machine."""

    CONTAINED = "contained"
    SANDBOXED = "sandboxed"
    NONE = "none"


class NetworkRule(StrEnum):
    """The network access of an agent at the level `sandboxed`."""

    ALL = "all"
    ALLOWED = "allowed"
    NONE = "none"


class Means(StrEnum):
    """The sandbox mechanisms, in order of preference; the first one that works is used."""

    BUBBLEWRAP = "bubblewrap"
    NAMESPACES = "util-linux"
    LANDLOCK = "landlock"


class HostService(StrEnum):
    """A service of the machine that could start programs for an agent; hidden unless allowed."""

    DOCKER = "docker"
    PODMAN = "podman"
    CONTAINERD = "containerd"
    DBUS = "dbus"
    SYSTEMD = "systemd"
    CRON = "cron"
    AT = "at"


DEFAULT_PROCESSES = 4096
# display label of the level `none`, always in red
UNSANDBOXED = "Unsandboxed"
NONE_FORBIDDEN = (
    "People of other machines use this server, so its agents stay in a sandbox: choose contained "
    "or sandboxed. RUNYARD_ALLOW_UNSANDBOXED=1 allows the level none."
)
# warning shown if host services are allowed
OPENS = "With these, agents can start programs outside any sandbox"
# former names of levels, in rows and requests
_OLD_NAMES = {"bubblewrap": SandboxLevel.SANDBOXED}
# values in a row that mean that the agent is in a sandbox
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

    `allowed_hosts` are `host` or `host:port`, in addition to those that the agent and the project's
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
        """True if the agent cannot see the machine's network."""
        return self.level is SandboxLevel.SANDBOXED and self.network is not NetworkRule.ALL

    @property
    def has_allowed_hosts(self) -> bool:
        """True if only listed hosts can be reached."""
        return self.has_own_network and self.network is NetworkRule.ALLOWED


def read_level(word: str) -> SandboxLevel:
    """Parse a level's name, current or former. Raises ValueError."""
    return _OLD_NAMES.get(word) or SandboxLevel(word)
