"""Compiled SQL statements and validators of parameters, shared by all planes of a test process.

SQLAlchemy caches compiled statements per engine. Each test has its own engine, so each would
compile its statements again, which took a fifth of the tests' CPU time. FastAPI compiles a
validator for each parameter of each route; every plane's API has the same ones, and they took a
third of the set-up of a page test.
"""

from __future__ import annotations

from functools import cache
from typing import Any, get_args

import pytest
from fastapi._compat import v2
from pydantic import TypeAdapter
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


@cache
def share_validators() -> None:
    """Make all APIs share the validators of equal parameters."""
    made: dict[Any, TypeAdapter[Any]] = {}

    def adapter(kind: Any, *, config: Any = None) -> TypeAdapter[Any]:
        # metadata that is equal is shown equally; what it refers to stays alive with the validator
        key = (get_args(kind)[0], repr(kind), repr(config))
        if key not in made:
            made[key] = TypeAdapter(kind, config=config)
        return made[key]

    pytest.MonkeyPatch().setattr(v2, "TypeAdapter", adapter)


def _alike(key: tuple[Any, ...]) -> tuple[Any, ...]:
    dialect, *statement = key
    kind = type(dialect), dialect._json_serializer, dialect._json_deserializer
    return (kind, *statement)
