"""The merge of a change's base with which a run begins that is to resolve its conflicts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Leave it empty: no earlier run began with a merge."""
    op.add_column("runs", sa.Column("merging", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
