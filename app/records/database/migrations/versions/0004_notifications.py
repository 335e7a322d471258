"""Notifications, each pending until its receiver has taken it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "notification",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("receiver", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("about", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("digest_id", sa.String(), nullable=True),
        sa.Column("because", sa.String(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claimed_by", sa.String(), nullable=True),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("due_at", moment, nullable=False),
        sa.Column("claimed_until", moment, nullable=True),
        sa.Column("tried_at", moment, nullable=True),
        sa.Column("ended_at", moment, nullable=True),
        sa.CheckConstraint(
            "kind IN ('paused', 'delivered', 'needs_you', 'digest')", name="notification_kind"
        ),
        sa.CheckConstraint("state IN ('pending', 'sent', 'dropped')", name="notification_state"),
        sa.CheckConstraint("(state = 'pending') = (ended_at IS NULL)", name="pending_until_ended"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key", "receiver", name="told_once"),
    )
    op.create_index(
        "pending_notifications",
        "notification",
        ["receiver", "due_at"],
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
