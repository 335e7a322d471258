"""What the tests of pushes share."""

from __future__ import annotations

from pathlib import Path

from app.records.tables import Project, Run
from tests.planes import RealPlane
from tests.repositories import tip_of, write_hook

DIES = "kill -9 $PPID"


def hooked(plane: RealPlane, script: str) -> tuple[Project, Path]:
    """A project whose origin runs a script before it takes a push."""
    project = plane.add_project()
    return project, write_hook(Path(project.origin) / ".git", "pre-receive", script)


def pushed(project: Project, run: Run) -> str:
    return tip_of(Path(project.origin), f"refs/heads/{run.work_branch}")
