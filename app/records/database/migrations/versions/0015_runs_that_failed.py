"""A notification may tell of a run that failed and left nothing."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

KINDS = "kind IN ('paused', 'delivered', 'failed', 'needs_you', 'digest')"


def upgrade() -> None:
    """Let the table take the kind `failed`."""
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint("notification_kind", "notification", type_="check")
        op.create_check_constraint("notification_kind", "notification", KINDS)
        return
    # SQLite cannot change a check: the table is made anew, with its rows. Spelled out, since a
    # batch of Alembic's writes the constraints in another order each time
    anew = _make("notification_anew")
    columns: list[sa.ColumnClause[Any]] = [sa.column(column.name) for column in anew.c]
    old = sa.table("notification", *columns)
    op.execute(sa.insert(anew).from_select(list(anew.c.keys()), sa.select(*old.c)))
    op.drop_table("notification")
    op.rename_table("notification_anew", "notification")
    op.create_index(
        "pending_notifications",
        "notification",
        ["receiver", "due_at"],
        sqlite_where=sa.text("state = 'pending'"),
    )


def _make(name: str) -> sa.Table:
    moment = sa.DateTime(timezone=True)
    return op.create_table(
        name,
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("receiver", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("about", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("digest_id", sa.String(), nullable=True),
        sa.Column("because", sa.String(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("claimed_by", sa.String(), nullable=True),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("due_at", moment, nullable=False),
        sa.Column("claimed_until", moment, nullable=True),
        sa.Column("tried_at", moment, nullable=True),
        sa.Column("ended_at", moment, nullable=True),
        sa.CheckConstraint(KINDS, name="notification_kind"),
        sa.CheckConstraint("state IN ('pending', 'sent', 'dropped')", name="notification_state"),
        sa.CheckConstraint("(state = 'pending') = (ended_at IS NULL)", name="pending_until_ended"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key", "receiver", name="told_once"),
    )


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
