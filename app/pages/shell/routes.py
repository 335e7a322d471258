"""All pages, registered once by `app.server.application`."""

from __future__ import annotations

from app.pages.approvals import approvals
from app.pages.batches import batch, batches
from app.pages.parked import parked
from app.pages.people import audit, me
from app.pages.projects import add_project, import_projects, project, projects
from app.pages.review import change, inbox
from app.pages.run_list import runs
from app.pages.runs import new_run, run
from app.pages.system import guide, quota, settings
from app.pages.tracker import issues
from app.state.page.connection import Connection


def register_pages(connection: Connection) -> None:
    """Register the routes of all pages."""
    registrations = (
        inbox.register,
        projects.register,
        add_project.register,
        import_projects.register,
        project.register,
        change.register,
        issues.register,
        new_run.register,
        runs.register,
        run.register,
        batches.register,
        batch.register,
        issues.register_all_issues,
        parked.register,
        approvals.register,
        quota.register,
        settings.register,
        me.register,
        audit.register,
        guide.register,
    )
    for register in registrations:
        register(connection)
