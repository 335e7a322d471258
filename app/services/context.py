"""Dependencies shared by most services: the ledgers and the adapters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from app.records.projects.project_ledger import ProjectLedger
from app.records.projects.tracker_ledger import TrackerLedger
from app.records.runs.run_ledger import RunLedger
from app.records.tables import Project
from app.services.ports import (
    Agents,
    Engine,
    Forge,
    Homes,
    Mirrors,
    Repository,
    Sandbox,
    WorkingCopies,
)
from app.services.push_checks import PushChecks


@dataclass(frozen=True)
class Ledgers:
    """Ledgers of runs, projects and the built-in tracker."""

    runs: RunLedger
    projects: ProjectLedger
    tracker: TrackerLedger


@dataclass(frozen=True)
class Outside:
    """Adapters to the outside world; `forge_of` returns a project's tracker.

    `push_checks` run before each push of a run's commits.
    """

    mirrors: Mirrors
    copies: WorkingCopies
    engine: Engine
    agents: Agents
    forge_of: Callable[[Project], Forge]
    sandbox: Sandbox
    homes: Homes
    push_checks: PushChecks = field(default_factory=PushChecks)


def repository_of(project: Project) -> Repository:
    """Return the fields of a project that the git adapters need."""
    return Repository(project.id, project.origin, project.owner_hooks)
