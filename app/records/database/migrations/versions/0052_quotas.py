"""Limits of people and roles, and the agents that people and projects may use."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None

JSON_COLUMNS = (
    ("organisation", "run_quotas", "{}"),
    ("organisation", "batch_quotas", "{}"),
    ("person", "agents", "[]"),
    ("project", "allowed_agents", "[]"),
)


def upgrade() -> None:
    """Nobody has a limit but the server's, and every agent may be used."""
    for table, name, empty in JSON_COLUMNS:
        column = sa.Column(name, sa.JSON(), nullable=False, server_default=empty)
        op.add_column(table, column)
    for name in ("run_quota", "batch_quota"):
        op.add_column("person", sa.Column(name, sa.Integer(), nullable=True))


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
