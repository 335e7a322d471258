"""Copying of all rows from one database to another with the same schema, of either kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    Insert,
    Integer,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    delete,
    func,
    inspect,
    literal,
    select,
    type_coerce,
)
from sqlmodel import col

from app.records.tables import Organisation, Setting
from app.records.tables.people import DEFAULT_ORGANISATION

MANY = 500


def copy_rows(source: Connection, target: Connection) -> int:
    """Copy all rows that a connection sees into another's empty tables; return how many.

    The organisation that every schema begins with is not counted.

    JSON is copied as text, so that it stays identical, and SQL NULL stays NULL. The caller commits.
    """
    seen = source.execution_options(yield_per=MANY)
    # every schema begins with it
    target.execute(delete(Organisation).where(col(Organisation.id) == DEFAULT_ORGANISATION))
    copied = 0
    for table in Setting.metadata.sorted_tables:
        into = _insertion(table, target)
        for rows in seen.execute(_selection(table)).mappings().partitions():
            target.execute(into, [dict(row) for row in rows])
            copied += len(rows)
    _number_on(target)
    return copied - 1


def count_rows(connection: Connection) -> int:
    """Count the rows of all of Runyard's tables, without the organisation of every schema."""
    there = set(inspect(connection).get_table_names())
    known = [table for table in Setting.metadata.sorted_tables if table.name in there]
    counts = (select(func.count()).select_from(table) for table in known)
    found = sum(connection.scalars(count).one() for count in counts)
    has_organisation = "organisation" in there
    return found - 1 if has_organisation else found


def _selection(table: Table) -> Select[Any]:
    def as_told(column: ColumnElement[Any]) -> ColumnElement[Any]:
        return cast(column, Text) if isinstance(column.type, JSON) else column

    return select(*(as_told(column).label(_name(column.name)) for column in table.columns))


def _insertion(table: Table, target: Connection) -> Insert:
    def as_taken(column: ColumnElement[Any], name: str) -> ColumnElement[Any]:
        if not isinstance(column.type, JSON):
            return bindparam(name, type_=column.type)
        text = bindparam(name, type_=Text())
        # SQLite stores JSON as text, and a cast would turn it into a number
        is_text = target.dialect.name == "sqlite"
        return type_coerce(text, Text) if is_text else cast(text, JSON)

    given = {column.name: as_taken(column, _name(column.name)) for column in table.columns}
    return table.insert().values(given)


def _name(column: str) -> str:
    # SQLAlchemy reserves the column's own name for its bind parameter in an INSERT
    return f"its_{column}"


def _number_on(target: Connection) -> None:
    """Set PostgreSQL's sequences to the highest number that was copied."""
    if target.dialect.name == "sqlite":
        return
    for table, column in _numbered():
        sequence = func.pg_get_serial_sequence(literal(table.name), literal(column))
        target.execute(select(func.setval(sequence, func.max(table.columns[column]))))


def _numbered() -> Iterator[tuple[Table, str]]:
    for table in Setting.metadata.sorted_tables:
        for column in table.primary_key:
            if isinstance(column.type, Integer) and len(table.primary_key) == 1:
                yield table, column.name
