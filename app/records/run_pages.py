"""Pages of runs: keyset over (created_at, id), newest first, forwards and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import sqlmodel
from sqlalchemy import FromClause, Select, select, union_all
from sqlmodel import col

from app.domain.ids import is_run_id
from app.records.cursors import Place, is_beyond, order_from, page_from, read_cursor
from app.records.database import Database
from app.records.routing import Stores
from app.records.run_walks import RunFilter, walks
from app.records.tables import Run


@dataclass(frozen=True)
class Page:
    """Runs, newest first, with the cursors of the pages beside it."""

    items: list[Run] = field(default_factory=list)
    next_cursor: str | None = None
    prev_cursor: str | None = None


def list_runs(stores: Stores, wanted: RunFilter, *, limit: int, cursor: str | None) -> Page:
    """One page of runs. Raises BadCursor."""
    place = read_cursor(cursor, is_run_id)
    found: list[Run] = []
    # a batch and its runs live beside each other
    of_batch = [stores.owner_of(wanted.batch_id)] if wanted.batch_id else None
    for database in of_batch or stores.holding_runs():
        found += _ask(database, wanted, place, limit + 1)
    return Page(*page_from(place, found, limit))


def _ask(database: Database, wanted: RunFilter, place: Place | None, limit: int) -> list[Run]:
    def walk(runs: FromClause) -> Select[Any, Any]:
        when, which = runs.c.created_at, runs.c.id
        query = select(which, when).limit(limit)
        if place is not None:
            query = query.where(is_beyond(place, when, which))
        return query.order_by(*order_from(place, when, which))

    ways = walks(wanted, walk)
    if not ways:
        return []
    with database.reading() as session:
        found = session.execute(union_all(*(select(way.subquery()) for way in ways)))
        forwards = place is None or place.forwards
        keys = sorted({(at, run_id) for run_id, at in found}, reverse=forwards)
        ids = [run_id for _, run_id in keys[:limit]]
        return list(session.exec(sqlmodel.select(Run).where(col(Run.id).in_(ids))).all())
