"""Tokens of runs, for projects whose agents may comment on their own issue."""

# stands alone: a migration

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; no project's agents get a token yet."""
    op.create_table(
        "run_token",
        sa.Column("run_id", sa.String(), primary_key=True),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("issue", sa.Integer(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False, unique=True),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("comments", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    off = sa.Column("agent_token", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column("project", off)
    op.add_column("issue_comment", sa.Column("run_id", sa.String()))


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
