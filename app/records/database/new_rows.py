"""Rows that are inserted by their tables' columns: several by one statement on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import CTE, Connection, Insert, Select, bindparam, insert, literal_column, select
from sqlmodel import SQLModel

# statements for several rows, one for each combination of their columns
MOST_SHAPES = 256


@dataclass(frozen=True)
class NewRow:
    """A row to insert; `then` is called with the id that the database gives it."""

    table: str
    values: Mapping[str, Any]
    then: Callable[[int], None] | None = None


def insert_rows(connection: Connection, rows: Sequence[NewRow]) -> None:
    """Insert rows in this order."""
    if connection.dialect.name == "postgresql":
        for some in _parts(rows):
            _insert_together(connection, some)
        return
    for row in rows:
        added = connection.execute(_insert(row.table), row.values)
        if row.then is not None:
            row.then((added.inserted_primary_key or (0,))[0])


def _parts(rows: Sequence[NewRow]) -> Iterator[list[NewRow]]:
    """Yield the rows in parts with one row of a table each: a part has no order."""
    part: dict[str, NewRow] = {}
    for row in rows:
        if row.table in part:
            yield [*part.values()]
            part = {}
        part[row.table] = row
    yield [*part.values()]


def _insert_together(connection: Connection, rows: Sequence[NewRow]) -> None:
    # PostgreSQL checks references between them at the end of the statement
    shape = tuple((row.table, tuple(row.values), row.then is not None) for row in rows)
    values = {
        f"{name}_{n}": value for n, row in enumerate(rows) for name, value in row.values.items()
    }
    ids = iter(connection.execute(_insert_all(shape), values).one())
    for row in rows:
        if row.then is not None:
            row.then(next(ids))


@lru_cache
def _insert(table: str) -> Insert:
    return insert(SQLModel.metadata.tables[table])


@lru_cache(MOST_SHAPES)
def _insert_all(shape: tuple[tuple[str, tuple[str, ...], bool], ...]) -> Select[*tuple[Any, ...]]:
    """Return the statement that inserts a row of each shape; it selects the ids asked for."""
    ids: list[Any] = [literal_column("1")]
    added: list[CTE] = []
    for n, (name, columns, has_id) in enumerate(shape):
        table = SQLModel.metadata.tables[name]
        values = {one: bindparam(f"{one}_{n}", type_=table.c[one].type) for one in columns}
        one = insert(table).values(values)
        if has_id:
            row = one.returning(table.c.id).cte(f"row_{n}")
            ids.append(row.c.id)
        else:
            row = one.cte(f"row_{n}")
        added.append(row)
    return select(*(ids[1:] or ids)).add_cte(*added)
