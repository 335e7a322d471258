"""Sign-ins of agents at a forge, for projects whose agents open their pull requests."""

# stands alone: a migration

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; no project names a sign-in yet."""
    op.add_column("project", sa.Column("pr_sign_in", sa.String()))
    op.add_column("project", sa.Column("pr_login", sa.String()))


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
