"""Indexes for what a project's card shows of its waiting and open runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

WAITING = "status IN ('delayed', 'queued')"


def upgrade() -> None:
    """Make them: a card must cost the same with ten thousand waiting runs as with none."""
    held = f"{WAITING} AND hold IS NOT NULL"
    _create("held_runs_of_project", ["project_id", "created_at", "id"], held)
    _create("waiting_runs_of_project_by_agent", ["project_id", "agent"], WAITING)
    for_issue = "released_at IS NULL AND issue IS NOT NULL"
    _create("open_runs_of_project_for_issue", ["project_id", "issue"], for_issue)


def _create(name: str, columns: list[str], where: str) -> None:
    only = sa.text(where)
    op.create_index(name, "runs", columns, sqlite_where=only, postgresql_where=only)
