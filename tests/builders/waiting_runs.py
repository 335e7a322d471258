"""Runs that are accepted and wait until a test lets them launch."""

from __future__ import annotations

from typing import Any

from app.records.tables import Project, Run
from tests.drivers.planes import DrivenPlane


def accept_held(plane: DrivenPlane, project: Project, **wishes: Any) -> Run:
    """Accept a run that waits because its project is still cloning."""
    plane.ledgers.projects.change(project.id, state="cloning")
    run = plane.launch(project, **wishes)
    assert (run.status, run.hold) == ("queued", "the repository is being cloned")
    return run


def go(plane: DrivenPlane, run: Run) -> Run:
    """Let a waiting run launch, and return its current row."""
    plane.ledgers.projects.change(run.project_id, state="ready")
    plane.tick()
    return plane.run(run.id)
