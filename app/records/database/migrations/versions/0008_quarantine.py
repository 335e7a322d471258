"""Add the quarantine: rows that could not be advanced, their attempts, and why."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the table; of two stores each tells of its own rows."""
    op.create_table(
        "quarantine",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("duty", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=True),
        sa.Column("run_id", sa.String(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("first_at", MOMENT, nullable=False),
        sa.Column("last_at", MOMENT, nullable=False),
        sa.Column("held_at", MOMENT, nullable=True),
        sa.CheckConstraint("tries >= 1", name="tried_at_least_once"),
        sa.PrimaryKeyConstraint("key"),
    )
