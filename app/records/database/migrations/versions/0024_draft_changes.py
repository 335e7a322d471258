"""Change requests that are drafts: their checks are red."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; none is a draft so far."""
    draft = sa.Column("draft", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column("change_request", draft)


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
