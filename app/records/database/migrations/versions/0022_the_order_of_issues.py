"""Priorities of issues, and the places that people give them in the queue."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

PRIORITIES = "priority IN ('urgent', 'high', 'normal', 'low')"


def upgrade() -> None:
    """Give every issue the usual priority and no place: the lowest number still goes first."""
    # the constraint is the column's: SQLite cannot add one to a table that comments point to
    check = sa.CheckConstraint(PRIORITIES, name="issue_priority")
    priority = sa.Column("priority", sa.String(), check, nullable=False, server_default="normal")
    op.add_column("issue", priority)
    op.add_column("issue", sa.Column("rank", sa.Integer(), nullable=True))


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
