"""An audit with person, way, address and what changed, in a chain that nobody changes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

from app.records.people.audit_ledger import FIRST, hash_of

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

KEPT_DAYS = 30
SQLITE_GUARDS = (
    "CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit "
    "BEGIN SELECT RAISE(ABORT, 'the audit is never changed'); END",
    "CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit "
    f"WHEN OLD.at >= datetime('now', '-{KEPT_DAYS} days') "
    "BEGIN SELECT RAISE(ABORT, 'the audit is kept'); END",
)
POSTGRESQL_GUARDS = (
    "CREATE FUNCTION keep_audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "IF TG_OP = 'DELETE' THEN "
    f"IF OLD.at < now() - interval '{KEPT_DAYS} days' THEN RETURN OLD; END IF; "
    "RAISE EXCEPTION 'the audit is kept'; END IF; "
    "RAISE EXCEPTION 'the audit is never changed'; END $$",
    "CREATE TRIGGER audit_is_kept BEFORE UPDATE OR DELETE ON audit "
    "FOR EACH ROW EXECUTE FUNCTION keep_audit()",
    "CREATE TRIGGER audit_is_never_emptied BEFORE TRUNCATE ON audit "
    "FOR EACH STATEMENT EXECUTE FUNCTION keep_audit()",
)


def upgrade() -> None:
    """Make the table anew, with what the old one tells, and let the database guard it."""
    connection = op.get_bind()
    columns: list[sa.ColumnClause[Any]] = [
        *(sa.column(name) for name in ("id", "person_id", "what", "project_id", "run_id")),
        sa.column("at", sa.DateTime(timezone=True)),
        *(sa.column(name) for name in ("because", "correlation_id")),
    ]
    old = sa.table("audit", *columns)
    rows = connection.execute(sa.select(old).order_by(old.c.id)).mappings().all()
    op.drop_index("newest_audit", "audit")
    op.drop_table("audit")
    table = _make()
    previous = FIRST
    for row in rows:
        values = _as_now(row, previous)
        previous = hash_of(values)
        connection.execute(sa.insert(table).values(**values, hash=previous))
    is_sqlite = connection.dialect.name == "sqlite"
    for guard in SQLITE_GUARDS if is_sqlite else POSTGRESQL_GUARDS:
        op.execute(guard)


def _make() -> sa.Table:
    moment = sa.DateTime(timezone=True)
    told = sa.JSON(none_as_null=True)
    table = op.create_table(
        "audit",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", moment, nullable=False),
        *(sa.Column(name, sa.String) for name in ("person", "role")),
        sa.Column("via", sa.String, nullable=False),
        *(sa.Column(name, sa.String) for name in ("token", "address")),
        *(sa.Column(name, sa.String, nullable=False) for name in ("deed", "object")),
        *(sa.Column(name, told) for name in ("before", "after")),
        *(
            sa.Column(name, sa.String, nullable=False)
            for name in ("correlation_id", "previous", "hash")
        ),
    )
    op.create_index("audit_by_object", "audit", ["object", "id"])
    op.create_index("audit_by_deed", "audit", ["deed", "id"])
    return table


def _as_now(row: Any, previous: str) -> dict[str, Any]:
    at: datetime = row["at"]
    return {
        "at": at if at.tzinfo else at.replace(tzinfo=UTC),
        "person": row["person_id"],
        "role": None,
        "via": "unknown",
        "token": None,
        "address": None,
        "deed": row["what"],
        "object": row["run_id"] or row["project_id"] or "",
        "before": None,
        "after": {"because": row["because"]},
        "correlation_id": row["correlation_id"],
        "previous": previous,
    }
