"""Shared helpers for tests of pushes."""

from __future__ import annotations

from pathlib import Path

from app.api.schemas import ProjectOut
from app.records.tables import Project, Run
from tests.builders.repositories import tip_of, write_hook
from tests.drivers.planes import RealPlane

DIES = "kill -9 $PPID"


def write_trusted_hook(
    plane: RealPlane, project: Project | ProjectOut, name: str, script: str
) -> Path:
    """Write a hook to a project's origin and trust it."""
    origin = Path(project.origin)
    git_dir = origin / ".git" if (origin / ".git").exists() else origin
    hook = write_hook(git_dir, name, script)
    plane.services.projects.change(project.id, owner_hooks=True)
    return hook


def hooked(plane: RealPlane, script: str) -> tuple[Project, Path]:
    """Return a project and the pre-receive hook of its origin, which runs `script`."""
    project = plane.add_project()
    return project, write_trusted_hook(plane, project, "pre-receive", script)


def pushed(project: Project, run: Run) -> str:
    return tip_of(Path(project.origin), f"refs/heads/{run.work_branch}")
