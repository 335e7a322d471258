"""Labels and rules of the sandbox settings for forms and cards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from app.api.schemas import CheckOut, ProjectOut, SandboxOut
from app.domain.projects.autoland import AUTOLAND_FIELDS
from app.domain.projects.settings import UNSEEN
from app.domain.sandbox.levels import OPENS, NetworkRule, SandboxLevel
from app.domain.sandbox.settings import LIMIT_BOUNDS

MEANS = {
    SandboxLevel.CONTAINED.value: "Agents see this machine as you do, but neither Runyard's own "
    "data nor other processes.",
    SandboxLevel.SANDBOXED.value: "Agents read the system and write to their working copy and a "
    "home folder of this project. Nothing else of yours is there.",
    SandboxLevel.NONE.value: "Agents can do everything that you can on this machine.",
}
ALLOWS = f"{OPENS}: "
# the levels at which each field has an effect
_AT = {
    "network": {SandboxLevel.SANDBOXED},
    "allowed_hosts": {SandboxLevel.SANDBOXED},
    "toolchains": {SandboxLevel.SANDBOXED},
    "allow": {SandboxLevel.CONTAINED, SandboxLevel.SANDBOXED},
}


def is_asked(name: str, typed: Mapping[str, str]) -> bool:
    """Return True if a field has an effect with the chosen level and network in `typed`."""
    if name == "allowed_hosts" and typed["network"] != NetworkRule.ALLOWED:
        return False
    return name not in _AT or typed["sandbox"] in _AT[name]


def level_words(level: str, here: SandboxOut) -> tuple[str, str]:
    """Return the meaning of a level on this machine, and its tone."""
    if level not in here.levels:
        why = here.because or "Not possible on this machine."
        return f"{why} {here.remedy}".strip(), "stop"
    return MEANS.get(level, ""), "stop" if level == SandboxLevel.NONE else ""


def services_words(allowed: Iterable[str]) -> tuple[str, str]:
    """Return the meaning of allowing these services of the machine, and its tone."""
    names = ", ".join(allowed)
    return (f"{ALLOWS}{names}.", "wait") if names else (UNSEEN, "")


def settled(change: Mapping[str, Any], level: str, network: str) -> dict[str, Any]:
    """Convert a change to the API's form: limits and rules nested, network reset where none is.

    `level` is the chosen level, `network` the project's current rule.
    """
    limits = {name: change[name] for name in LIMIT_BOUNDS if name in change}
    rules = {field: change[name] for name, field in AUTOLAND_FIELDS.items() if name in change}
    nested = {*LIMIT_BOUNDS, *AUTOLAND_FIELDS}
    found = {name: value for name, value in change.items() if name not in nested}
    if limits:
        found["limits"] = limits
    if rules:
        found["autoland"] = rules
    if level != SandboxLevel.SANDBOXED:
        found.pop("network", None)
        if network != NetworkRule.ALL:
            found["network"] = NetworkRule.ALL.value
    return found


def as_shown(change: Mapping[str, Any], project: ProjectOut | None) -> dict[str, Any]:
    """Convert a change to columns of the board's row."""
    shown = dict(change)
    if "checks" in change:
        shown["checks"] = [CheckOut(**one) for one in change["checks"]]
    if "limits" in change and project is not None:
        shown["limits"] = project.limits.model_copy(update=change["limits"])
    if "autoland" in change and project is not None:
        shown["autoland"] = project.autoland.model_copy(update=change["autoland"])
    return shown
