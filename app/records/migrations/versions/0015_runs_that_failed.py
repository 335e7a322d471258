"""A notification may tell of a run that failed and left nothing."""

from __future__ import annotations

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
    # SQLite cannot change a check: the table is made anew, with its rows
    with op.batch_alter_table("notification", copy_from=_table(), recreate="always"):
        pass


def _table() -> sa.Table:
    moment = sa.DateTime(timezone=True)
    table = sa.Table(
        "notification",
        sa.MetaData(),
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
    is_pending = sa.text("state = 'pending'")
    sa.Index("pending_notifications", table.c.receiver, table.c.due_at, sqlite_where=is_pending)
    return table


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
