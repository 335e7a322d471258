"""A run tells every run that repeats it, not only the newest one."""

from __future__ import annotations

from itertools import groupby

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, then fill it from the runs that name the one they repeat."""
    op.add_column("runs", sa.Column("retries", sa.JSON(), nullable=False, server_default="[]"))
    runs = sa.table(
        "runs",
        *map(sa.column, ("id", "retry_of", "created_at")),
        sa.column("retries", sa.JSON()),
    )
    repeating = (
        sa.select(runs.c.retry_of, runs.c.id)
        .where(runs.c.retry_of.is_not(None))
        .order_by(runs.c.retry_of, runs.c.created_at, runs.c.id)
    )
    bind = op.get_bind()
    found = bind.execute(repeating).all()
    filled = [
        {"first": first, "all": [run_id for _, run_id in heirs]}
        for first, heirs in groupby(found, key=lambda row: row[0])
    ]
    if filled:
        is_first = runs.c.id == sa.bindparam("first")
        fill = sa.update(runs).where(is_first).values(retries=sa.bindparam("all"))
        bind.execute(fill, filled)
