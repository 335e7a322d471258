"""Checks of projects: their settings, a check that could not be started, and suggestions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Leave every project without checks; suggestions are looked for by the next start."""
    for column in (
        sa.Column("checks", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("check_rounds", sa.Integer(), nullable=False, server_default="2"),
        sa.Column("on_red", sa.String(), nullable=False, server_default="park"),
        sa.Column("checks_error", sa.Text(), nullable=True),
        sa.Column("suggested_checks", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("checks_answered", sa.Boolean(), nullable=False, server_default=sa.false()),
    ):
        op.add_column("project", column)


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
