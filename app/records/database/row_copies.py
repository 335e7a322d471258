"""Every row of one database in another of the same schema, whichever kind each of them is."""

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
    func,
    inspect,
    literal,
    select,
    type_coerce,
)

from app.records.tables import Setting

MANY = 500


def copy_rows(source: Connection, target: Connection) -> int:
    """Write what one connection sees into empty tables of another; how many rows.

    Text of JSON is kept to the letter, and so is whether there is none. The caller commits.
    """
    seen = source.execution_options(yield_per=MANY)
    copied = 0
    for table in Setting.metadata.sorted_tables:
        into = _insertion(table, target)
        for rows in seen.execute(_selection(table)).partitions():
            target.execute(into, [dict(row._mapping) for row in rows])
            copied += len(rows)
    _number_on(target)
    return copied


def count_rows(connection: Connection) -> int:
    """How many rows there are in all tables that are Runyard's."""
    there = set(inspect(connection).get_table_names())
    known = [table for table in Setting.metadata.sorted_tables if table.name in there]
    counts = (select(func.count()).select_from(table) for table in known)
    return sum(connection.scalars(count).one() for count in counts)


def _selection(table: Table) -> Select[Any]:
    def as_told(column: ColumnElement[Any]) -> ColumnElement[Any]:
        return cast(column, Text) if isinstance(column.type, JSON) else column

    return select(*(as_told(column).label(_name(column.name)) for column in table.columns))


def _insertion(table: Table, target: Connection) -> Insert:
    def as_taken(column: ColumnElement[Any], name: str) -> ColumnElement[Any]:
        if not isinstance(column.type, JSON):
            return bindparam(name, type_=column.type)
        text = bindparam(name, type_=Text())
        # to SQLite JSON is text, and a cast would make a number of it
        is_text = target.dialect.name == "sqlite"
        return type_coerce(text, Text) if is_text else cast(text, JSON)

    given = {column.name: as_taken(column, _name(column.name)) for column in table.columns}
    return table.insert().values(given)


def _name(column: str) -> str:
    # a column's own name is taken in an INSERT
    return f"its_{column}"


def _number_on(target: Connection) -> None:
    """Let PostgreSQL's counters go on after the highest number that was copied."""
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
