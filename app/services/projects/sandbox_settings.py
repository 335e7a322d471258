"""Sandbox settings of projects, checked against the levels this machine supports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from app.domain.sandbox.levels import NONE_FORBIDDEN, NetworkRule, SandboxLevel, read_level
from app.domain.sandbox.settings import host_problem, network_problem
from app.errors import SandboxNotHere
from app.records.projects.project_ledger import ProjectLedger
from app.records.tables import Project
from app.services.ports import Capability, Sandbox

OR_WITHOUT = "Or choose none: its agents can then do everything that you can on this machine."
OR_CONTAINED = "Or choose contained."
_LISTS = ("allowed_hosts", "allow", "toolchains")


class SandboxSettings:
    """Checks and completes sandbox level, network, limits and allowances of projects.

    `default` is the level of new projects; `private` are Runyard's own folders.
    """

    def __init__(
        self,
        projects: ProjectLedger,
        sandbox: Sandbox,
        default: SandboxLevel,
        private: Sequence[Path],
    ) -> None:
        self._projects = projects
        self._sandbox = sandbox
        self.default = default
        self._private = private

    def capability(self) -> Capability:
        """Return the sandbox levels of this machine."""
        return self._sandbox.probe()

    def problem_of(self, project: Project) -> str | None:
        """Return why a project's level is not available here and what helps, None if it is."""
        level, capability = read_level(project.sandbox), self.capability()
        return None if capability.can(level) else not_here(level, capability)

    def settle_new(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the columns of a new project. Raises SandboxNotHere."""
        level = SandboxLevel(settings.get("sandbox") or self.default)
        capability = self.capability()
        is_containable = capability.can(SandboxLevel.CONTAINED)
        has_none = capability.can(SandboxLevel.NONE)
        otherwise = OR_CONTAINED if is_containable else OR_WITHOUT if has_none else ""
        self._must_be_had(level, "" if level is SandboxLevel.NONE else otherwise)
        chosen = {"sandbox_chosen": settings.get("sandbox_chosen", True)}
        return chosen | _columns({}, {**settings, "sandbox": level})

    def settle_demo(self) -> dict[str, Any]:
        """Return the level for the demo's scripted agent: `none` only if there is no other."""
        capability = self.capability()
        if capability.can(self.default):
            return {}
        if capability.can(SandboxLevel.CONTAINED):
            return {"sandbox": SandboxLevel.CONTAINED}
        return {"sandbox": SandboxLevel.NONE, "sandbox_chosen": False}

    def settle_change(self, project: Project, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the columns of a change. Raises SandboxNotHere."""
        columns = _columns(project.limits, settings)
        if (word := settings.get("sandbox")) is not None:
            level = SandboxLevel(word)
            if level != read_level(project.sandbox):
                self._must_be_had(level)
            columns |= {"sandbox_chosen": True, "sandbox_notice": False}
        return columns

    def wrong(self, project: Project | None, settings: Mapping[str, Any]) -> dict[str, str | None]:
        """Return a sentence for each invalid or conflicting setting, None for valid ones."""
        level = settings.get("sandbox") or (project.sandbox if project else self.default)
        network = settings.get("network") or (project.network if project else NetworkRule.ALL)
        found: dict[str, str | None] = {
            "network": network_problem(read_level(level), NetworkRule(network))
        }
        for name, problem_of in (
            ("allowed_hosts", host_problem),
            ("toolchains", self._toolchain_problem),
        ):
            found[name] = _first(map(problem_of, settings.get(name) or ()))
        return found

    def contain_once(self, now: datetime) -> int:
        """Set projects whose level nobody chose to `contained`. Return how many changed.

        Changes nothing if this machine cannot contain agents; the next start tries again.
        """
        if not self.capability().can(SandboxLevel.CONTAINED):
            return 0
        return len(self._projects.contain_unchosen(now))

    def _must_be_had(self, level: SandboxLevel, otherwise: str = "") -> None:
        capability = self.capability()
        if not capability.can(level):
            raise SandboxNotHere(f"{not_here(level, capability)} {otherwise}".strip())

    def _toolchain_problem(self, folder: str) -> str | None:
        path = Path(folder).expanduser() if folder.startswith("~/") else Path(folder)
        if not path.is_absolute():
            return f"{folder} is not an absolute path."
        if not path.is_dir():
            return f"There is no folder {folder}."
        real = path.resolve()
        if Path.home().resolve().is_relative_to(real):
            return f"{folder} holds the whole home folder: name the toolchain's own folder."
        for own in (one.resolve() for one in self._private):
            if real.is_relative_to(own) or own.is_relative_to(real):
                return f"{folder} is or contains Runyard's own data."
        return None


def not_here(level: SandboxLevel, capability: Capability) -> str:
    """Return why a level is not available here, and what a person can do about it."""
    if level is SandboxLevel.NONE:
        return NONE_FORBIDDEN
    why = capability.because or f"Agents cannot be {level} on this machine."
    return f"{why} {capability.remedy}".strip()


def _columns(limits: Mapping[str, int | None], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns for these settings; limits that are not given keep their values."""
    given = {name: value for name, value in settings.items() if value is not None}
    columns: dict[str, Any] = {
        name: str(given[name]) for name in ("sandbox", "network") if name in given
    }
    columns |= {
        name: list(dict.fromkeys(map(str, given[name]))) for name in _LISTS if name in given
    }
    if "limits" in given:
        columns["limits"] = {**limits, **given["limits"]}
    return columns


def _first(problems: Iterable[str | None]) -> str | None:
    return next(filter(None, problems), None)
