"""The review comments that a run was started with, held by the run itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Leave it empty: no earlier run was started with comments."""
    op.add_column("runs", sa.Column("review", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
