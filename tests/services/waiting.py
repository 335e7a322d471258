"""Runs that are accepted and wait until a test lets them be launched."""

from __future__ import annotations

from typing import Any

from app.records.tables import Project, Run
from tests.planes import RealPlane


def accept_held(plane: RealPlane, project: Project, **wishes: Any) -> Run:
    """A run that is accepted and waits: its project is not ready for a moment."""
    plane.ledgers.projects.change(project.id, state="cloning")
    run = plane.launch(project, **wishes)
    assert (run.status, run.hold) == ("queued", "the repository is being cloned")
    return run


def go(plane: RealPlane, run: Run) -> Run:
    """Let it be launched."""
    plane.ledgers.projects.change(run.project_id, state="ready")
    plane.tick()
    return plane.run(run.id)
