"""Checks of runs: the status `checking`, results per round, and runs that follow a review."""

from __future__ import annotations

import re

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

STATUSES = (
    *("delayed", "queued", "starting", "running", "checking", "delivering", "succeeded", "died"),
    *("timed_out", "limited", "stopped", "not_started", "expired"),
)
TRIGGERS = ("manual", "auto", "retry", "resume", "batch", "api", "review")
ENDS = ("running", "passed", "failed", "error", "timed_out", "stopped")


def upgrade() -> None:
    """Allow the new words, and add the columns and the table of checks."""
    for name, column, words in (
        ("run_status", "status", STATUSES),
        ("run_trigger", "trigger", TRIGGERS),
    ):
        _allow(name, _one_of(column, words))
    for column in (
        sa.Column("turn", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("check_round", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("checks", sa.JSON(none_as_null=True), nullable=True),
    ):
        op.add_column("runs", column)
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "check_result",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("required", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("sha", sa.String(), nullable=False),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("because", sa.String(), nullable=True),
        sa.Column("changed_files", sa.JSON(), nullable=False),
        sa.Column("log_from", sa.BigInteger(), nullable=True),
        sa.Column("log_to", sa.BigInteger(), nullable=True),
        sa.Column("started_at", moment, nullable=False),
        sa.Column("ended_at", moment, nullable=True),
        sa.CheckConstraint(_one_of("status", ENDS), name="check_status"),
        sa.CheckConstraint(
            "(status = 'running') = (ended_at IS NULL)", name="check_runs_until_ended"
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="check_of_run"),
        sa.PrimaryKeyConstraint("run_id", "round", "position"),
    )


def _one_of(column: str, words: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(map(repr, words))})"


def _allow(name: str, check: str) -> None:
    """Replace a check of the table of runs by a wider one."""
    bind = op.get_bind()
    if bind.dialect.name == "postgresql":
        op.drop_constraint(name, "runs", type_="check")
        op.create_check_constraint(name, "runs", check)
        return
    # SQLite cannot change a check, and making the table anew would copy every run and check every
    # line of their timelines. A check that only allows more leaves each stored row as it is, so
    # its text is changed in the schema (sqlite.org/lang_altertable.html, section 7)
    of_runs = "type = 'table' AND name = 'runs'"
    (sql,) = bind.exec_driver_sql(f"SELECT sql FROM sqlite_master WHERE {of_runs}").one()  # noqa: S608
    pattern = rf"CONSTRAINT {name} CHECK \([a-z]+ IN \([^()]*\)\)"
    changed, count = re.subn(pattern, f"CONSTRAINT {name} CHECK ({check})", sql)
    if count != 1:
        raise RuntimeError(f"the table of runs has no check {name}")
    (version,) = bind.exec_driver_sql("PRAGMA schema_version").one()
    bind.exec_driver_sql("PRAGMA writable_schema = ON")
    try:
        bind.exec_driver_sql(f"UPDATE sqlite_master SET sql = ? WHERE {of_runs}", (changed,))  # noqa: S608
        bind.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    finally:
        bind.exec_driver_sql("PRAGMA writable_schema = RESET")


def downgrade() -> None:
    """There is no way back: a backup was made before the upgrade."""
    raise NotImplementedError("Restore the backup from before the upgrade.")
