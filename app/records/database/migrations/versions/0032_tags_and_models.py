"""Tags of projects, and the model of a project's runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Give no project a tag, and leave the model to its agent."""
    op.add_column("project", sa.Column("tags", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("project", sa.Column("model", sa.String(), nullable=True))


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
