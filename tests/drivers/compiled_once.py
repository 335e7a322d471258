"""A cache of compiled SQL statements, shared by all engines of a test process.

SQLAlchemy caches compiled statements per engine. Each test has its own engine, so each would
compile its statements again, which took a fifth of the tests' CPU time.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.util import LRUCache

STATEMENTS = 3000


class Compiled(LRUCache[Any, Any]):
    """A statement cache keyed by dialect type and JSON functions, not by the dialect object."""

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the cached value, or `default`."""
        return super().get(_alike(key), default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(_alike(key), value)


@cache
def share_compiled_statements() -> None:
    """Make all engines of one kind of database share a statement cache."""
    compiled = Compiled(STATEMENTS)

    @event.listens_for(Engine, "engine_connect")
    def use(connection: Connection) -> None:
        connection.execution_options(compiled_cache=compiled)


def _alike(key: tuple[Any, ...]) -> tuple[Any, ...]:
    dialect, *statement = key
    kind = type(dialect), dialect._json_serializer, dialect._json_deserializer
    return (kind, *statement)
