"""Statements that are compiled once a process: SQLAlchemy keeps what it compiled for each engine.

Each test has an engine of its own, so that each would compile all it asks anew, and a fifth of its
processor time go into that.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.util import LRUCache

STATEMENTS = 3000


class Compiled(LRUCache[Any, Any]):
    """What was compiled, by what makes dialects compile alike and no longer by the dialect."""

    def get(self, key: Any, default: Any = None) -> Any:
        """What stands there, or the default."""
        return super().get(_alike(key), default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(_alike(key), value)


@cache
def share_compiled_statements() -> None:
    """From now on all engines of a kind of database share what one of them has compiled."""
    compiled = Compiled(STATEMENTS)

    @event.listens_for(Engine, "engine_connect")
    def use(connection: Connection) -> None:
        connection.execution_options(compiled_cache=compiled)


def _alike(key: tuple[Any, ...]) -> tuple[Any, ...]:
    dialect, *statement = key
    kind = type(dialect), dialect._json_serializer, dialect._json_deserializer
    return (kind, *statement)
