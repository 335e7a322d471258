"""Texts of forges' issues that count, and the agent configuration that a person has looked at."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Begin with nothing looked at: the first look counts."""
    op.create_table(
        "issue_text",
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("event", sa.Integer(), nullable=False),
        sa.Column("labelled_by", sa.String(), nullable=False),
        sa.Column("may_label", sa.Boolean(), nullable=False),
        sa.Column("title", sa.String(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("sha256", sa.String(), nullable=True),
        sa.Column("edited_by", sa.String(), nullable=True),
        sa.Column("seen_sha256", sa.String(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("approved_sha256", sa.String(), nullable=True),
        sa.Column("ticked", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"]),
        sa.PrimaryKeyConstraint("project_id", "number"),
    )
    for name in ("trusted_commit", "judged_commit"):
        op.add_column("project", sa.Column(name, sa.String(), nullable=True))
    op.add_column("project", sa.Column("trust_hold", sa.Text(), nullable=True))


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
