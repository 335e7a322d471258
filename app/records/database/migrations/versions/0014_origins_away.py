"""Whether a project's origin can be reached, since when it cannot, and why."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Begin with every origin at its place: the next look or launch tells otherwise."""
    for column in (
        sa.Column("origin_because", sa.Text(), nullable=True),
        sa.Column("origin_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("unreachable", sa.Boolean(), nullable=False, server_default=sa.false()),
    ):
        op.add_column("project", column)


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
