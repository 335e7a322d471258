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
    screens = (
        projects,
        add_project,
        project,
        issues,
        new_run,
        runs,
        run,
        batches,
        batch,
        ready_issues,
        parked,
        quota,
        settings,
        guide,
    )
    for screen in screens:
        screen.register(door)
