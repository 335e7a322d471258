"""The prompts that runs' agents got, templates of projects, and reasons of closed changes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables, and count the prompt that a project has as its first version."""
    for column in (
        sa.Column("prompt_version", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("instructions", sa.Text(), nullable=True),
        sa.Column("default_template", sa.String(), nullable=True),
    ):
        op.add_column("project", column)
    op.add_column("change_request", sa.Column("closed_because", sa.Text(), nullable=True))
    op.create_table(
        "template",
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("removed_at", MOMENT, nullable=True),
        sa.CheckConstraint("version >= 1", name="template_version"),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"]),
        sa.PrimaryKeyConstraint("project_id", "name", "version"),
    )
    op.create_table(
        "run_prompt",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("template", sa.String(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="prompt_of_run"),
        sa.PrimaryKeyConstraint("run_id", "n"),
    )


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
