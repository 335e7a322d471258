"""Shared helpers for tests of parked work."""

from __future__ import annotations

from pathlib import Path

from app.records.people.audit_ledger import Deed
from app.records.tables import Project, Run
from app.services.kept.parked import ParkedView
from tests.drivers.planes import COMMIT, DrivenPlane, RealPlane

DIES = "exit 3"
DIES_WITH_A_COMMIT = f"{COMMIT}; exit 3"
LEAVES_FILES = f"{COMMIT}; echo a > a.txt; echo b > b.txt; exit 3"


def deed(plane: DrivenPlane, what: str = "discard") -> Deed:
    return Deed(plane.person, what, f"{what} by a test", "corr")


def listed(plane: DrivenPlane) -> list[ParkedView]:
    return plane.services.parked.all(plane.clock())


def discard(plane: DrivenPlane, run: Run, confirm: str | None = None) -> int:
    desk, branch = plane.services.parked, run.work_branch
    sure = branch if confirm is None else confirm
    return desk.discard(run.project_id, branch, sure, deed(plane), plane.clock())


def claimable(plane: DrivenPlane, project: Project) -> list[int] | None:
    return plane.services.issues.claimable(project)


def cut(plane: RealPlane, project: Project) -> Path:
    """Make a project's mirror unreadable and return its path."""
    mirror = plane.settings.runs_root / "mirrors" / f"{project.id}.git"
    (mirror / "HEAD").unlink()
    return mirror
