"""Change requests that revert others: no run made them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

NEEDS_A_RUN, MAY_HAVE_A_RUN = "run_id VARCHAR NOT NULL,", "run_id VARCHAR,"
IS_OPEN = "state = 'open' AND reverts IS NOT NULL"


def upgrade() -> None:
    """Allow changes without a run, and one open revert for each change."""
    _allow_no_run()
    op.add_column("change_request", sa.Column("reverts", sa.Integer(), nullable=True))
    op.create_index(
        "one_open_revert_per_change",
        "change_request",
        ["project_id", "reverts"],
        unique=True,
        sqlite_where=sa.text(IS_OPEN),
        postgresql_where=sa.text(IS_OPEN),
    )


def _allow_no_run() -> None:
    bind = op.get_bind()
    if bind.dialect.name == "postgresql":
        op.alter_column("change_request", "run_id", existing_type=sa.String(), nullable=True)
        return
    # SQLite cannot change a column, and making the table anew would drop one that comments refer
    # to. Each stored row is right without this rule too, so the rule's text is taken out of the
    # schema (sqlite.org/lang_altertable.html, section 7)
    of_changes = "type = 'table' AND name = 'change_request'"
    (sql,) = bind.exec_driver_sql(f"SELECT sql FROM sqlite_master WHERE {of_changes}").one()  # noqa: S608
    if sql.count(NEEDS_A_RUN) != 1:
        raise RuntimeError("the table of change requests has no column run_id that needs a value")
    changed = sql.replace(NEEDS_A_RUN, MAY_HAVE_A_RUN)
    (version,) = bind.exec_driver_sql("PRAGMA schema_version").one()
    bind.exec_driver_sql("PRAGMA writable_schema = ON")
    try:
        bind.exec_driver_sql(f"UPDATE sqlite_master SET sql = ? WHERE {of_changes}", (changed,))  # noqa: S608
        bind.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    finally:
        bind.exec_driver_sql("PRAGMA writable_schema = RESET")


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
