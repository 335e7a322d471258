"""Forges, the projects whose issues they keep, and the addresses of pull requests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Begin without forges."""
    op.create_table(
        "forge",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("acts_as", sa.String(), nullable=False),
        sa.Column("may", sa.JSON(), nullable=False),
        sa.Column("missing", sa.JSON(), nullable=False),
        sa.Column("needs_attention", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('forgejo', 'gitea', 'github')", name="forge_kind"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
        sa.UniqueConstraint("url"),
    )
    op.add_column("project", sa.Column("forge_id", sa.String(), nullable=True))
    op.add_column("project", sa.Column("repository", sa.String(), nullable=True))
    op.add_column("change_request", sa.Column("url", sa.String(), nullable=True))


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
