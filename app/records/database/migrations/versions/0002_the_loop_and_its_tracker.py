"""Add the counters of the auto loop, comments on issues, and the audit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, then the tables."""
    op.add_column("project", sa.Column("paused_because", sa.String(), nullable=True))
    op.add_column(
        "runs", sa.Column("is_strike", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    _index_runs("striking_runs", "is_strike", "ended_at")
    _index_runs("parked_runs", "parked", "created_at")
    _make_issue_comment()
    _make_audit()


def _index_runs(name: str, where: str, then: str) -> None:
    op.create_index(
        name,
        "runs",
        ["project_id", then],
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where),
    )


def _make_issue_comment() -> None:
    op.create_table(
        "issue_comment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "number"], ["issue.project_id", "issue.number"], name="comment_of_issue"
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("comments_of_issue", "issue_comment", ["project_id", "number", "id"])


def _make_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=True),
        sa.Column("run_id", sa.String(), nullable=True),
        sa.Column("because", sa.String(), nullable=False),
        sa.Column("correlation_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("newest_audit", "audit", ["at", "id"])
