"""Every page, registered once by main.py."""

from __future__ import annotations

from app.pages import (
    add_project,
    batch,
    batches,
    guide,
    issues,
    new_run,
    parked,
    project,
    projects,
    quota,
    ready_issues,
    run,
    runs,
    settings,
)
from app.state.door import Door


def register_pages(door: Door) -> None:
    """Define the routes of all screens."""
    registrations = (
        projects.register,
        add_project.register,
        project.register,
        issues.register,
        new_run.register,
        runs.register,
        run.register,
        batches.register,
        batch.register,
        ready_issues.register_ready_issues,
        parked.register,
        quota.register,
        settings.register,
        guide.register,
    )
    for register in registrations:
        register(door)
