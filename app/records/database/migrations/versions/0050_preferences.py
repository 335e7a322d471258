"""The look and the time zone that a person has chosen for all browsers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; nobody has chosen anything yet."""
    op.add_column("person", sa.Column("look", sa.String()))
    op.add_column("person", sa.Column("time_zone", sa.String()))


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
