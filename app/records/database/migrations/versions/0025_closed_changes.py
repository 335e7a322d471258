"""The place of an issue whose change request was closed: queued again, kept parked, or closed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Leave the issues of changes that were closed before as they are: parked."""
    op.add_column("change_request", sa.Column("issue_after", sa.String(), nullable=True))


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
