"""Sign-ins that were begun at an identity provider, and people whose role follows its groups."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; nobody who is there came by a group."""
    op.create_table(
        "oidc_start",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("nonce", sa.String(), nullable=False),
        sa.Column("verifier", sa.String(), nullable=False),
        sa.Column("wanted", sa.Text(), nullable=False),
        sa.Column("is_again", sa.Boolean(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_oidc_start_address", "oidc_start", ["address"])
    op.create_index("ix_oidc_start_expires_at", "oidc_start", ["expires_at"])
    of_groups = sa.Column("is_of_groups", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column("person", of_groups)
    op.add_column("person", sa.Column("lapsed_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
