"""Indexes for lists of runs by cost."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them for the runs that reported a cost: accepting a run writes nothing into them."""
    has_cost = sa.text("cost_usd IS NOT NULL")
    by_cost = {
        "runs_by_cost": ["cost_usd", "id"],
        "runs_of_project_by_cost": ["project_id", "cost_usd", "id"],
    }
    for name, columns in by_cost.items():
        op.create_index(name, "runs", columns, sqlite_where=has_cost, postgresql_where=has_cost)


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
