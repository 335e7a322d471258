"""An index of closed change requests, so that looking for reopened ones costs what is recent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Closed ones that may be opened again are found by when they were closed."""
    is_closed = sa.text("state = 'closed'")
    op.create_index(
        "closed_changes",
        "change_request",
        ["project_id", "ended_at"],
        sqlite_where=is_closed,
        postgresql_where=is_closed,
    )


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
