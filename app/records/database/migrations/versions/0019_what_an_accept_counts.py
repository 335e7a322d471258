"""Indexes of what an accept counts and compares, so that its cost does not follow what waits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

ASKED_FOR_NOW = (
    "released_at IS NULL AND status IN ('delayed', 'queued')"
    " AND batch_id IS NULL AND due_at IS NULL"
)
NEW: tuple[tuple[str, list[str | sa.TextClause], str], ...] = (
    (
        "runs_of_project_asked_for_now",
        ["project_id", "status", "batch_id", "due_at"],
        ASKED_FOR_NOW,
    ),
    (
        "open_runs_of_project_by_task",
        ["project_id", sa.text("coalesce(substr(task, 1, 60), '')")],
        "released_at IS NULL AND issue IS NULL",
    ),
)


def upgrade() -> None:
    """Add the indexes."""
    for name, columns, where in NEW:
        condition = sa.text(where)
        op.create_index(name, "runs", columns, sqlite_where=condition, postgresql_where=condition)


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
