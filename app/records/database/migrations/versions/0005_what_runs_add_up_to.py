"""Add the daily totals of a project's runs, filled from the runs that are over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

OUTCOMES = ("succeeded", "died", "timed_out", "limited", "stopped", "not_started", "expired")
TELLERS = ("began", "told_tokens", "told_cost")
SUMS = ("worked_ms", "input_tokens", "output_tokens", "cost_micros")


def upgrade() -> None:
    """Make the table, then fill it by one statement."""
    op.create_table(
        "project_day",
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in OUTCOMES + TELLERS),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in SUMS),
        sa.PrimaryKeyConstraint("project_id", "day"),
    )
    op.create_index("days_of_all", "project_day", ["day"])
    op.execute(fill_of(op.get_bind().dialect.name))


def fill_of(dialect: str) -> str:
    """The statement that adds up the runs that are over, a row for each project and UTC day."""
    if dialect == "sqlite":
        day = "date(ended_at)"
        worked_ms = f"max(0, {_sqlite_micros('ended_at')} - {_sqlite_micros('started_at')}) / 1000"
    else:
        day = "(ended_at AT TIME ZONE 'UTC')::date"
        worked_ms = "greatest(0, floor(extract(epoch FROM ended_at - started_at) * 1000))::bigint"
    outcomes = [f"sum(CASE WHEN status = '{name}' THEN 1 ELSE 0 END)" for name in OUTCOMES]
    return (
        "INSERT INTO project_day "  # noqa: S608 - names of our own only
        f"(project_id, day, {', '.join((*OUTCOMES, *TELLERS, *SUMS))}) "
        f"SELECT project_id, {day}, {', '.join(outcomes)}, "
        "count(started_at), count(coalesce(input_tokens, output_tokens)), count(cost_usd), "
        f"coalesce(sum({worked_ms}), 0), "
        "coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), "
        "coalesce(sum(CAST(round(cost_usd * 1000000) AS BIGINT)), 0) "
        f"FROM runs WHERE ended_at IS NOT NULL GROUP BY project_id, {day}"
    )


def _sqlite_micros(column: str) -> str:
    # times are text there, with all six digits behind the second; its functions keep three
    seconds = f"CAST(strftime('%s', substr({column}, 1, 19)) AS INTEGER)"
    return f"({seconds} * 1000000 + CAST(substr({column}, 21) AS INTEGER))"
