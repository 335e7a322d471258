"""Each of two stores refuses, in tests, a statement about what the other one owns.

No session stands around that a statement could fall back to; but the wrong one of two would answer
as if it were the right one: with nothing. So whatever goes astray fails, and is told once more at
the end of its test, whoever caught it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.orm import Session

from app.domain.ids import Store, Unclassifiable, store_of
from app.records.stores.sessions import APART
from app.records.tables import Run

ASTRAY = "a statement went astray"
OF_RUNS = {"runs", "run_events", "batches", "batch_items", "outbox"}
# each store has its own of these
OF_BOTH = {"setting", "notification", "quarantine", "project_day"}
OF_CONTROL = set(Run.metadata.tables) - OF_RUNS - OF_BOTH
_TABLE = re.compile(r'\b(?:FROM|JOIN|INTO|UPDATE)\s+"?(\w+)')
# rows that are named, not those from a place in a list on
_NAMED = re.compile(r"\bINSERT\b|\b(?:id|run_id|batch_id) (?:=|IN)")
strays: list[str] = []


class Astray(AssertionError):
    """A statement met the store that does not own what it is about."""


@cache
def guard_stores() -> None:
    """From now on every connection of one of two stores looks at what it is asked."""

    @event.listens_for(Session, "after_begin")
    def mark(session: Session, _: Any, connection: Connection) -> None:
        connection.info[APART] = session.info.get(APART)

    @event.listens_for(Engine, "before_cursor_execute")
    def look(
        connection: Connection, _: Any, statement: str, parameters: Any, __: Any, ___: bool
    ) -> None:
        store = connection.info.get(APART)
        if store and (problem := _problem_of(Store(store), statement, parameters)):
            strays.append(f"{ASTRAY}: {problem}: {statement} {parameters}")
            raise Astray(strays[-1])


def _problem_of(store: Store, statement: str, parameters: Any) -> str:
    """Why the store must not be asked this; empty where it may."""
    asked = set(_TABLE.findall(statement))
    if asked & OF_CONTROL and (store is Store.RUNS or asked & OF_RUNS):
        return f"the {store} store has only one side of {sorted(asked)}"
    if asked & OF_RUNS and _NAMED.search(statement):
        foreign = [one for one in _texts(parameters) if _owner_of(one) not in (None, store)]
        if foreign:
            return f"the {store} store does not own {foreign}"
    return ""


def _owner_of(text: str) -> Store | None:
    """The store of a run or a batch; None for any other text."""
    try:
        return store_of(text) if text.startswith(("run_", "batch_")) else None
    except Unclassifiable:
        return None


def _texts(parameters: Any) -> Iterator[str]:
    if isinstance(parameters, str):
        yield parameters
    elif isinstance(parameters, Mapping):
        yield from _texts(list(parameters.values()))
    elif isinstance(parameters, list | tuple):
        for one in parameters:
            yield from _texts(one)
