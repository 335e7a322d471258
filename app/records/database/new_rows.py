"""Rows that are inserted by their tables' columns: several by one statement on PostgreSQL.

Each statement is compiled once, and the driver gets it as text: to have SQLAlchemy find it again in
its cache would cost more than to run it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    CTE,
    Connection,
    Dialect,
    Insert,
    Select,
    bindparam,
    insert,
    literal_column,
    select,
)
from sqlmodel import SQLModel

# statements, one for each combination of tables and their columns
MOST_SHAPES = 256
Shape = tuple[str, tuple[str, ...], bool]


@dataclass(frozen=True)
class NewRow:
    """A row to insert; `then` is called with the id that the database gives it."""

    table: str
    values: Mapping[str, Any]
    then: Callable[[int], None] | None = None

    @property
    def shape(self) -> Shape:
        """The row without its values: table, columns, and whether its id is asked for."""
        return self.table, tuple(self.values), self.then is not None


@dataclass(frozen=True)
class _Compiled:
    """A statement's text, and its parameters: name, row, column, and conversion for the driver."""

    text: str
    parameters: tuple[tuple[str, int, str, Callable[[Any], Any] | None], ...]

    def bind(self, rows: Sequence[NewRow]) -> dict[str, Any]:
        """Return the values of all parameters, in their order."""
        bound: dict[str, Any] = {}
        for name, row, column, convert in self.parameters:
            value = rows[row].values[column]
            bound[name] = convert(value) if convert else value
        return bound


def insert_rows(connection: Connection, rows: Sequence[NewRow]) -> None:
    """Insert rows in this order."""
    if connection.dialect.name == "postgresql":
        for some in _parts(rows):
            _insert_together(connection, some)
        return
    for row in rows:
        compiled = _compile(connection.dialect, (row.shape,))
        added = connection.exec_driver_sql(compiled.text, tuple(compiled.bind([row]).values()))
        if row.then is not None:
            row.then(added.lastrowid)


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
    compiled = _compile(connection.dialect, tuple(row.shape for row in rows))
    ids = iter(connection.exec_driver_sql(compiled.text, compiled.bind(rows)).one())
    for row in rows:
        if row.then is not None:
            row.then(next(ids))


@lru_cache(MOST_SHAPES)
def _compile(dialect: Dialect, shapes: tuple[Shape, ...]) -> _Compiled:
    parameters: dict[str, tuple[str, int, str, Callable[[Any], Any] | None]] = {}
    inserts: list[Insert] = []
    for row, (table, columns, _) in enumerate(shapes):
        its = SQLModel.metadata.tables[table].c
        if missing := {one.name for one in its if one.default is not None} - set(columns):
            raise TypeError(f"a row of {table} needs values for {sorted(missing)}")
        bound = {one: bindparam(f"{one}_{row}", type_=its[one].type) for one in columns}
        inserts.append(insert(SQLModel.metadata.tables[table]).values(bound))
        for column in columns:
            convert = its[column].type.dialect_impl(dialect).bind_processor(dialect)
            parameters[f"{column}_{row}"] = f"{column}_{row}", row, column, convert
    statement = inserts[0] if dialect.name != "postgresql" else _joined(inserts, shapes)
    compiled = statement.compile(dialect=dialect)
    order = compiled.positiontup or parameters
    return _Compiled(compiled.string, tuple(parameters[name] for name in order))


def _joined(inserts: Sequence[Insert], shapes: tuple[Shape, ...]) -> Select[*tuple[Any, ...]]:
    """Return one statement for all, which selects the ids that are asked for."""
    ids: list[Any] = []
    added: list[CTE] = []
    for row, one in enumerate(inserts):
        has_id = shapes[row][2]
        part = (one.returning(one.table.c.id) if has_id else one).cte(f"row_{row}")
        ids += [part.c.id] if has_id else []
        added.append(part)
    return select(*(ids or [literal_column("1")])).add_cte(*added)
