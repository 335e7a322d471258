"""Statements, query plans and step counts of database reads."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from app.records.database.database import Database


def statements_of(ask: Callable[[], object]) -> list[tuple[str, Any]]:
    """Return the SELECT statements that `ask` executes, with their parameters."""
    asked: list[tuple[str, Any]] = []

    @event.listens_for(Engine, "before_cursor_execute")
    def _note(conn: Connection, cursor: Any, statement: str, given: Any, *_: Any) -> None:
        if statement.startswith(("SELECT", "(SELECT")):
            asked.append((statement, given))

    try:
        ask()
    finally:
        event.remove(Engine, "before_cursor_execute", _note)
    return asked


def explained(database: Database, ask: Callable[[], object]) -> list[Any]:
    """Return the plans of the statements in `ask`: SQLite lines or executed PostgreSQL trees."""
    how = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN (ANALYZE, FORMAT JSON)"
    found: list[Any] = []
    statements = statements_of(ask)
    with database.engine.connect() as connection:
        for statement, given in statements:
            rows = connection.exec_driver_sql(f"{how} {statement}", given).all()
            found += [row[3] for row in rows] if database.is_sqlite else [rows[0][0][0]["Plan"]]
    assert found
    return found


def steps_of(database: Database, ask: Callable[[], object]) -> int:
    """Return the SQLite virtual machine steps that `ask` takes, in multiples of 100."""
    steps, statements = 0, statements_of(ask)

    def count() -> int:
        nonlocal steps
        steps += 100
        return 0

    with database.engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.set_progress_handler(count, 100)
        try:
            for statement, given in statements:
                connection.exec_driver_sql(statement, given).all()
        finally:
            raw.set_progress_handler(None, 0)
    return steps
