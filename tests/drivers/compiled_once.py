"""Compiled SQL statements and parameters of routes, shared by all planes of a test process.

SQLAlchemy caches compiled statements per engine. Each test has its own engine, so each would
compile its statements again, which took a fifth of the tests' CPU time. FastAPI reads the signature
of each route and compiles a validator for each of its parameters; every plane's API has the same
ones, and they took two thirds of the set-up of a page test and half of a forked server's start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from functools import cache, lru_cache, partial
from inspect import CO_ASYNC_GENERATOR, CO_GENERATOR
from types import FunctionType
from typing import Any, get_args

from fastapi import routing
from fastapi._compat import v2
from fastapi.dependencies import utils
from fastapi.dependencies.models import Dependant
from pydantic import TypeAdapter
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.util import LRUCache

STATEMENTS = 3000
ANSWERS = 1000


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


def _share_validators() -> None:
    """Make all APIs share the validators of equal parameters."""
    made: dict[Any, TypeAdapter[Any]] = {}

    def adapter(kind: Any, *, config: Any = None) -> TypeAdapter[Any]:
        # metadata that is equal is shown equally; what it refers to stays alive with the validator
        key = (get_args(kind)[0], repr(kind), repr(config))
        if key not in made:
            made[key] = TypeAdapter(kind, config=config)
        return made[key]

    v2.TypeAdapter = adapter  # pyright: ignore[reportPrivateImportUsage]


def _share_answers() -> None:
    """Make all APIs share the fields of equal answers."""
    make = routing.__dict__["create_model_field"]

    @lru_cache(ANSWERS)
    def field(name: str, type_: Any, mode: Any) -> Any:
        return make(name=name, type_=type_, mode=mode)

    routing.__dict__["create_model_field"] = field


def _look_at_code() -> None:
    """Tell generators by the flags of their code: FastAPI unwraps each function eight times."""
    for name, flag in (
        ("_is_gen_callable", CO_GENERATOR),
        ("_is_async_gen_callable", CO_ASYNC_GENERATOR),
    ):
        routing.__dict__[name] = partial(_has_flag, flag, routing.__dict__[name])


def _has_flag(flag: int, ask: Callable[[Any], bool], call: Any) -> bool:
    if isinstance(call, FunctionType) and not hasattr(call, "__wrapped__"):
        return bool(call.__code__.co_flags & flag)
    return ask(call)


def _share_return_types() -> None:
    """Make all APIs share the return types of routes made by the same code."""
    made: dict[Any, tuple[Any, Any]] = {}
    read = routing.__dict__["get_typed_return_annotation"]

    def return_type(call: Callable[..., Any]) -> Any:
        if not isinstance(call, FunctionType) or not _is_read_from_its_code(call):
            return read(call)
        key = (call.__code__, id(call.__globals__), call.__annotations__.get("return"))
        if key not in made:
            # the globals are kept, so that no others get their id
            made[key] = read(call), call.__globals__
        return made[key][0]

    routing.__dict__["get_typed_return_annotation"] = return_type


@cache
def share_parameters() -> None:
    """Make all APIs share the parameters and answers of routes made by the same code."""
    _share_validators()
    _share_answers()
    _look_at_code()
    _share_return_types()
    made: dict[Any, tuple[Dependant, Any]] = {}
    read = utils.get_dependant

    def dependant(*, path: str, call: Callable[..., Any], **how: Any) -> Dependant:
        if not isinstance(call, FunctionType) or not _is_read_from_its_code(call):
            return read(path=path, call=call, **how)
        words = repr((call.__annotations__, call.__defaults__, call.__kwdefaults__, how))
        key = (call.__code__, id(call.__globals__), path, words)
        if key not in made:
            # the globals are kept, so that no others get their id
            made[key] = read(path=path, call=call, **how), call.__globals__
        return _copy_for(call, made[key][0])

    for module in (routing, utils):
        module.__dict__["get_dependant"] = dependant


def _is_read_from_its_code(call: FunctionType) -> bool:
    """Return False if parameters of this function may belong to one API alone."""
    defaults = (*(call.__defaults__ or ()), *(call.__kwdefaults__ or {}).values())
    written = (*defaults, *call.__annotations__.values())
    return not vars(call) and all(isinstance(one, str | int | None) for one in written)


def _copy_for(call: Callable[..., Any], dependant: Dependant) -> Dependant:
    given = {field.name: getattr(dependant, field.name) for field in fields(dependant)}
    # FastAPI adds to the lists
    lists = {name: list(one) for name, one in given.items() if isinstance(one, list)}
    return replace(dependant, call=call, **lists)


def _alike(key: tuple[Any, ...]) -> tuple[Any, ...]:
    dialect, *statement = key
    kind = type(dialect), dialect._json_serializer, dialect._json_deserializer
    return (kind, *statement)
