"""Accounts that are held for their usage limit, and what a run of them goes on with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, then add the columns."""
    _make_account_hold()
    op.add_column(
        "project",
        sa.Column("resume_after_limit", sa.Boolean(), nullable=False, server_default=sa.true()),
    )
    op.add_column("runs", sa.Column("session_id", sa.String(), nullable=True))
    op.add_column("runs", sa.Column("resumes", sa.Integer(), nullable=False, server_default="0"))
    op.add_column(
        "runs", sa.Column("may_resume", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.create_index(
        "resumable_runs",
        "runs",
        ["ended_at"],
        sqlite_where=sa.text("may_resume"),
        postgresql_where=sa.text("may_resume"),
    )


def _make_account_hold() -> None:
    op.create_table(
        "account_hold",
        sa.Column("agent", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("family", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("hits", sa.Integer(), nullable=False),
        sa.Column("probe_run_id", sa.String(), nullable=True),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("hits >= 1", name="hold_hits"),
        sa.PrimaryKeyConstraint("agent", "account", "family"),
    )
