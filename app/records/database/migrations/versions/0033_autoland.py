"""Autoland of projects, and what became of it for each change request."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Switch autoland on nowhere."""
    op.add_column("project", sa.Column("autoland", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("change_request", sa.Column("autoland_note", sa.Text(), nullable=True))
    op.add_column("change_request", sa.Column("autoland_seen", sa.String(), nullable=True))
    op.add_column("change_request", sa.Column("landing", sa.Text(), nullable=True))


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
