"""Merges that a forge makes by itself: what they wait for, and why they will not be made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """No forge is known to be asked for one."""
    for name in ("merge_waits", "merge_head"):
        op.add_column("change_request", sa.Column(name, sa.String(), nullable=True))
    op.add_column("change_request", sa.Column("merge_note", sa.Text(), nullable=True))


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
