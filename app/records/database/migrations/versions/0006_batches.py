"""Batches with their items, and what is done to many runs at once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
UNFINISHED = sa.text("ended_at IS NULL")


def upgrade() -> None:
    """Make the tables; runs of a batch are counted by an index of their own."""
    _make_batches()
    _make_bulk()
    of_a_batch = sa.text("batch_id IS NOT NULL")
    op.create_index(
        "runs_of_batch",
        "runs",
        ["batch_id", "status"],
        sqlite_where=of_a_batch,
        postgresql_where=of_a_batch,
    )


def _make_batches() -> None:
    op.create_table(
        "batches",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("run_count", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("because", sa.String(), nullable=True),
        sa.Column("idempotency_key", sa.String(), nullable=True),
        sa.Column("body_hash", sa.String(), nullable=False),
        sa.Column("parent_run_id", sa.String(), nullable=True),
        sa.Column("correlation_id", sa.String(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("sealed_at", MOMENT, nullable=True),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.CheckConstraint(
            "status IN ('pending', 'processing', 'completed', 'partly_failed', 'aborted')",
            name="batch_status",
        ),
        sa.CheckConstraint("run_count BETWEEN 1 AND 1000", name="batch_size"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("project_id", "idempotency_key", name="one_batch_per_key"),
    )
    op.create_index("newest_batches", "batches", ["created_at", "id"])
    op.create_index("charged_batches", "batches", ["created_by", "created_at"])
    op.create_index(
        "unfinished_batches",
        "batches",
        ["created_at"],
        sqlite_where=UNFINISHED,
        postgresql_where=UNFINISHED,
    )
    op.create_table(
        "batch_items",
        sa.Column("batch_id", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="item_of_batch"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="run_of_item"),
        sa.PrimaryKeyConstraint("batch_id", "position"),
        sa.UniqueConstraint("run_id", name="one_item_per_run"),
    )


def _make_bulk() -> None:
    op.create_table(
        "bulk",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("wanted", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("hold", sa.String(), nullable=True),
        sa.Column("correlation_id", sa.String(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.CheckConstraint("action IN ('stop', 'retry')", name="bulk_action"),
        sa.CheckConstraint("status IN ('processing', 'completed', 'aborted')", name="bulk_status"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "unfinished_bulk",
        "bulk",
        ["created_at"],
        sqlite_where=UNFINISHED,
        postgresql_where=UNFINISHED,
    )
    op.create_table(
        "bulk_items",
        sa.Column("bulk_id", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("because", sa.String(), nullable=True),
        sa.Column("new_run_id", sa.String(), nullable=True),
        sa.CheckConstraint(
            "state IN ('pending', 'done', 'refused', 'left')", name="bulk_item_state"
        ),
        sa.ForeignKeyConstraint(["bulk_id"], ["bulk.id"], name="item_of_bulk"),
        sa.PrimaryKeyConstraint("bulk_id", "position"),
    )
