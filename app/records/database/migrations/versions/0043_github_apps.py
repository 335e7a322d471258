"""The number of the GitHub App by which Runyard acts at a forge."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Every forge so far has a token."""
    op.add_column("forge", sa.Column("app_id", sa.String(), nullable=True))


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
