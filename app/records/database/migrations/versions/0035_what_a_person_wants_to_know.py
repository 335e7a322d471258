"""The notifications that each person chose, and the items of the inbox that they have read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

FOR_ALL = "project_id IS NULL"


def upgrade() -> None:
    """Begin without choices, and with all items unread."""
    op.create_table(
        "subscription",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=True),
        sa.Column("kinds", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("person_id", "project_id", name="one_choice_per_project"),
    )
    op.create_index(
        "one_choice_for_all",
        "subscription",
        ["person_id"],
        unique=True,
        sqlite_where=sa.text(FOR_ALL),
        postgresql_where=sa.text(FOR_ALL),
    )
    op.create_table(
        "read_item",
        sa.Column("person_id", sa.String(), nullable=False),
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"]),
        sa.PrimaryKeyConstraint("person_id", "item_id"),
    )


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
