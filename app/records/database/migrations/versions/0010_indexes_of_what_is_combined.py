"""Indexes for filters that are combined, for runs that have begun, and for open issues."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

NEWEST = ("created_at", "id")


def upgrade() -> None:
    """Make them.

    The one by trigger goes into the one by trigger and status; to open runs that of their branches
    leads, too.
    """
    op.drop_index("newest_runs_by_trigger", "runs")
    by_both = ["trigger", "status", *NEWEST]
    op.create_index("newest_runs_by_trigger_and_status", "runs", by_both)
    op.create_index("newest_runs_of_project_by_trigger", "runs", ["project_id", *by_both])
    if op.get_bind().dialect.name == "postgresql":
        # or it takes a project's, a trigger's and a status's shares for those of chance, and looks
        # along all runs for what is not among them
        told = "(mcv) ON project_id, trigger, status FROM runs"
        op.execute(f"CREATE STATISTICS runs_combined {told}")
        # of what is there already nothing is known before somebody looks
        op.execute("ANALYZE runs")
    op.drop_index("open_runs", "runs")
    begun = "released_at IS NULL AND status NOT IN ('delayed', 'queued')"
    _create("begun_runs", "runs", ["project_id", "created_at"], begun)
    _create("open_issues", "issue", ["project_id", "number"], "state = 'open'")


def _create(name: str, table: str, columns: list[str], where: str) -> None:
    only = sa.text(where)
    op.create_index(name, table, columns, sqlite_where=only, postgresql_where=only)
