"""Comments that were not sent, found without a look at all the others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

IS_UNSENT = "round IS NULL"


def upgrade() -> None:
    """Add an index of the comments that were not sent."""
    op.create_index(
        "unsent_comments",
        "change_comment",
        ["project_id", "number"],
        sqlite_where=sa.text(IS_UNSENT),
        postgresql_where=sa.text(IS_UNSENT),
    )


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
