"""Indexes of what a sweep looks for, so that its cost does not follow what waits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

QUEUED = "released_at IS NULL AND batch_id IS NULL AND status = 'queued'"
NEW: tuple[tuple[str, str, list[str], str], ...] = (
    (
        "queued_runs",
        "runs",
        ["status", "created_at", "id", "project_id", "agent", "model", "trigger", "due_at"],
        QUEUED,
    ),
    ("queued_runs_by_hold", "runs", ["status", "hold", "project_id"], QUEUED),
    ("delayed_runs", "runs", ["status", "due_at", "batch_id"], "status = 'delayed'"),
    (
        "expiring_runs",
        "runs",
        ["status", "expires_at"],
        "released_at IS NULL AND status = 'queued' AND expires_at IS NOT NULL",
    ),
    ("held_projects", "project", ["id"], "state <> 'ready' OR unreachable"),
    ("looped_projects", "project", ["id"], "auto_enabled AND archived_at IS NULL"),
)


def upgrade() -> None:
    """Add the indexes."""
    for name, table, columns, where in NEW:
        condition = sa.text(where)
        op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
