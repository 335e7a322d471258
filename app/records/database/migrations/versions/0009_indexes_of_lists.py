"""Indexes for what lists of runs and batches can be asked for, however many there are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

NEWEST = ("created_at", "id")


def upgrade() -> None:
    """Make them; all but the one of endings are walked from their newest entry on."""
    op.create_index("newest_runs_by_trigger", "runs", ["trigger", *NEWEST])
    op.create_index("newest_runs_from_branch", "runs", ["branch_name", *NEWEST])
    op.create_index("newest_runs_on_branch", "runs", ["work_branch", *NEWEST])
    has_issue = sa.text("issue IS NOT NULL")
    op.create_index(
        "newest_runs_for_issue",
        "runs",
        ["issue", *NEWEST],
        sqlite_where=has_issue,
        postgresql_where=has_issue,
    )
    op.create_index("runs_by_ending", "runs", [sa.text("substr(id, length(id) - 5)")])
    op.create_index("newest_batches_of_project", "batches", ["project_id", *NEWEST])
