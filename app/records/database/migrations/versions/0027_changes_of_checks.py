"""The last change of a project's checks or of the sandbox that they run in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Leave the moment unknown: whatever was held before stays held."""
    moment = sa.Column("checks_changed_at", sa.DateTime(timezone=True), nullable=True)
    op.add_column("project", moment)


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
