"""Validation of a project's sandbox settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from app.domain.sandbox.levels import Limits, NetworkRule, SandboxLevel
from app.domain.sandbox.network_rules import WrongHost, read_entry

# about the same as GitHub's limit, and far above normal files; `file_mb` overrides it
DELIVERED_FILE_MB = 100
MAX_LISTED = 200
ONLY_SANDBOXED = "The network can only be limited for sandboxed agents: choose sandboxed."


@dataclass(frozen=True)
class Bound:
    """The minimum and maximum of a limit; `what` names it in sentences."""

    least: int
    most: int
    what: str


# below the minimum no agent starts; the maximum catches slips: 16 TB, and Linux's maximum of pids
LIMIT_BOUNDS = MappingProxyType(
    {
        "memory_mb": Bound(64, 16 * 1000**2, "MB of memory"),
        "processes": Bound(16, 2**22, "processes"),
        "file_mb": Bound(1, 16 * 1000**2, "MB for one file"),
        "disk_mb": Bound(16, 16 * 1000**2, "MB for the working copy"),
    }
)


def limit_problem(name: str, value: int) -> str | None:
    """Return why the limit `name` (a field of Limits) cannot be `value`, or None."""
    bound = LIMIT_BOUNDS[name]
    if value < bound.least:
        return f"Give at least {bound.least:,} {bound.what}, or nothing for no limit."
    if value > bound.most:
        return f"Give at most {bound.most:,} {bound.what}, or nothing for no limit."
    return None


def limits_problems(limits: Limits) -> dict[str, str]:
    """Return a sentence for each invalid field of the limits; empty if all are valid."""
    values = {name: getattr(limits, name) for name in LIMIT_BOUNDS}
    found = {n: limit_problem(n, value) for n, value in values.items() if value is not None}
    return {name: problem for name, problem in found.items() if problem is not None}


def largest_delivered_mb(limits: Limits) -> int:
    """Return the maximum size of a delivered file, in MB of a million bytes."""
    return DELIVERED_FILE_MB if limits.file_mb is None else limits.file_mb


def network_problem(level: SandboxLevel, network: NetworkRule) -> str | None:
    """Return why this network rule is not possible at this level, or None."""
    is_limited = network is not NetworkRule.ALL
    return ONLY_SANDBOXED if is_limited and level is not SandboxLevel.SANDBOXED else None


def host_problem(word: str) -> str | None:
    """Return why this is not a `host` or `host:port` that can be allowed, or None."""
    try:
        read_entry(word)
    except WrongHost as problem:
        return str(problem)
    return None


def limits_words(limits: Mapping[str, int | None]) -> str:
    """Format the limits that are set: `2,048 MB of memory · 4,096 processes`."""
    told = [(limits.get(name), bound.what) for name, bound in LIMIT_BOUNDS.items()]
    return " · ".join(f"{most:,} {what}" for most, what in told if most is not None)
