"""A guard for tests with two stores: each refuses statements about rows that the other owns.

There is no global session for a statement to fall back to, but the wrong store would answer as if
it were the right one: with nothing. So a stray statement raises, and fails its test once more at
the end, in case the error was caught.
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
OF_RUNS = {
    *("runs", "run_events", "batches", "batch_items", "outbox", "check_result", "run_prompt"),
}
# both stores have these tables
OF_BOTH = {"setting", "notification", "quarantine", "project_day"}
OF_CONTROL = set(Run.metadata.tables) - OF_RUNS - OF_BOTH
_TABLE = re.compile(r'\b(?:FROM|JOIN|INTO|UPDATE)\s+"?(\w+)')
# rows addressed by id, and not a page of a list that starts after one
_NAMED = re.compile(r"\bINSERT\b|\b(?:id|run_id|batch_id) (?:=|IN)")
strays: list[str] = []


class Astray(AssertionError):
    """A statement reached the store that does not own its rows."""


@cache
def guard_stores() -> None:
    """Check every later statement on the connections of two stores."""

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
    """Return why the store must not run this statement; empty if it may."""
    asked = set(_TABLE.findall(statement))
    if asked & OF_CONTROL and (store is Store.RUNS or asked & OF_RUNS):
        return f"the {store} store has only one side of {sorted(asked)}"
    if asked & OF_RUNS and _NAMED.search(statement):
        foreign = [one for one in _texts(parameters) if _owner_of(one) not in (None, store)]
        if foreign:
            return f"the {store} store does not own {foreign}"
    return ""


def _owner_of(text: str) -> Store | None:
    """Return the store of a run's or batch's id; None for any other text."""
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
