"""CI of changes, comments at forges that runs work through, and styles of merging."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Begin with nothing seen of CI, no comments taken up, and merge commits."""
    op.add_column("change_request", sa.Column("ci_seen", sa.JSON(), nullable=True))
    op.add_column(
        "project", sa.Column("ci_rounds", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column(
        "project", sa.Column("review_rounds", sa.Integer(), nullable=False, server_default="5")
    )
    op.add_column(
        "project", sa.Column("merge_style", sa.String(), nullable=False, server_default="merge")
    )
    op.create_table(
        "forge_comment",
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("comment_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("file", sa.Text(), nullable=True),
        sa.Column("line", sa.Integer(), nullable=True),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=True),
        sa.Column("answered", sa.Boolean(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("place IN ('talk', 'review', 'line')", name="forge_comment_place"),
        sa.ForeignKeyConstraint(
            ["project_id", "number"],
            ["change_request.project_id", "change_request.number"],
            name="forge_comment_of_change",
        ),
        sa.PrimaryKeyConstraint("project_id", "place", "comment_id"),
    )
    op.create_index("forge_comments_of_change", "forge_comment", ["project_id", "number"])


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
