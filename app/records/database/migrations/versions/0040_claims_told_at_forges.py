"""Claims that are told at forges, and the holds of repositories there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

IS_DUE = "announce"


def upgrade() -> None:
    """Tell of the claims of new runs; earlier ones stay untold."""
    op.add_column("project", sa.Column("forge_hold", sa.Text(), nullable=True))
    op.add_column(
        "project",
        sa.Column("tell_claims", sa.Boolean(), nullable=False, server_default=sa.true()),
    )
    op.add_column(
        "project",
        sa.Column("claim_label", sa.String(), nullable=True, server_default="agent-working"),
    )
    op.add_column(
        "runs", sa.Column("announce", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column("runs", sa.Column("announced", sa.JSON(none_as_null=True), nullable=True))
    op.create_index(
        "runs_to_announce",
        "runs",
        ["status", "id"],
        sqlite_where=sa.text(IS_DUE),
        postgresql_where=sa.text(IS_DUE),
    )


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
