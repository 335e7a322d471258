"""How many review comments wait for a person, since the rounds of a project are used up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """None are known to wait: the next look at each pull request counts them."""
    op.add_column(
        "change_request",
        sa.Column("reviews_waiting", sa.Integer(), nullable=False, server_default="0"),
    )


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
