"""Pages of runs: keyset over (created_at, id), newest first, forwards and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import sqlmodel
from sqlalchemy import Select, select, union_all
from sqlmodel import col

from app.domain.ids import is_run_id
from app.records import run_walks
from app.records.cursors import Place, is_beyond, order_from, page_from, read_cursor
from app.records.database import Database
from app.records.routing import Stores
from app.records.run_walks import RUNS, RunFilter, ways_to
from app.records.tables import Run


@dataclass(frozen=True)
class Page:
    """Runs, newest first, with the cursors of the pages beside it.

    `looked_among` is how many of the newest were looked at, None where all were.
    """

    items: list[Run] = field(default_factory=list)
    next_cursor: str | None = None
    prev_cursor: str | None = None
    looked_among: int | None = None


def list_runs(stores: Stores, wanted: RunFilter, *, limit: int, cursor: str | None) -> Page:
    """One page of runs. Raises BadCursor."""
    place = read_cursor(cursor, is_run_id)
    found: list[Run] = []
    is_cut = False
    # a batch and its runs live beside each other
    of_batch = [stores.owner_of(wanted.batch_id)] if wanted.batch_id else None
    for database in of_batch or stores.holding_runs():
        runs, is_cut_here = _ask(database, wanted, place, limit + 1)
        found += runs
        is_cut = is_cut or is_cut_here
    looked_among = run_walks.LOOKED_THROUGH if is_cut else None
    return Page(*page_from(place, found, limit), looked_among)


def _ask(
    database: Database, wanted: RunFilter, place: Place | None, limit: int
) -> tuple[list[Run], bool]:
    """The first runs from a place on, and whether there are older ones that nobody looked at."""
    when, which = RUNS.c.created_at, RUNS.c.id

    def walk() -> Select[Any, Any]:
        query = select(which, when).limit(limit)
        if place is not None:
            query = query.where(is_beyond(place, when, which))
        return query.order_by(*order_from(place, when, which))

    ways = ways_to(wanted)
    if not ways:
        return [], False
    with database.reading() as session:
        edges = [session.execute(way.edge()).first() if way.is_bounded else None for way in ways]
        queries = [
            way.query(walk, (edge[0], edge[1]) if edge else None)
            for way, edge in zip(ways, edges, strict=True)
        ]
        found = session.execute(union_all(*(select(query.subquery()) for query in queries)))
        forwards = place is None or place.forwards
        keys = sorted({(at, run_id) for run_id, at in found}, reverse=forwards)
        ids = [run_id for _, run_id in keys[:limit]]
        runs = session.exec(sqlmodel.select(Run).where(col(Run.id).in_(ids))).all()
        return list(runs), any(edge is not None for edge in edges)
