"""Issues of forges as they were last read, and how each project's list stands."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Begin with no issue read."""
    op.create_table(
        "forge_issue",
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("priority", sa.String(), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("assignees", sa.JSON(), nullable=False),
        sa.Column("milestone", sa.String(), nullable=False),
        sa.Column("dependencies", sa.JSON(), nullable=False),
        sa.Column("blocked_elsewhere", sa.JSON(), nullable=False),
        sa.Column("stranger", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('open', 'closed')", name="forge_issue_state"),
        sa.CheckConstraint(
            "priority IN ('urgent', 'high', 'normal', 'low')", name="forge_issue_priority"
        ),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"]),
        sa.PrimaryKeyConstraint("project_id", "number"),
    )
    op.create_index(
        "open_forge_issues",
        "forge_issue",
        ["project_id", "number"],
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "forge_listing",
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("whole_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("newest_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("silent_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("silent_because", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"]),
        sa.PrimaryKeyConstraint("project_id"),
    )


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
