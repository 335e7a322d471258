"""The files in which open change requests conflict with their base."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Leave them unknown: the server looks at its start."""
    seen = sa.Column("conflicts_seen", sa.JSON(none_as_null=True), nullable=True)
    op.add_column("change_request", seen)
    for name in ("conflicts_base", "conflicts_head"):
        op.add_column("change_request", sa.Column(name, sa.String(), nullable=True))


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
