"""The sandbox of a project's agents, and what a server knows of a run's processes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Leave every level as it is: the first start that can contain agents decides the rest."""
    for column in (
        sa.Column("sandbox_chosen", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("sandbox_notice", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("network", sa.String(), nullable=False, server_default="all"),
        sa.Column("allowed_hosts", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("allow", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("toolchains", sa.JSON(), nullable=False, server_default="[]"),
        sa.Column("limits", sa.JSON(), nullable=False, server_default="{}"),
        sa.Column("owner_hooks", sa.String(), nullable=True),
    ):
        op.add_column("project", column)
    op.add_column("runs", sa.Column("supervisor", sa.JSON(none_as_null=True), nullable=True))
    project = sa.table("project", sa.column("sandbox"), sa.column("sandbox_chosen"))
    named = sa.update(project).where(project.c.sandbox == "bubblewrap")
    op.execute(named.values(sandbox="sandboxed", sandbox_chosen=True))


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
