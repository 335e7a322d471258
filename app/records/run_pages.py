"""Pages of runs: keyset over (created_at, id), newest first, forwards and back."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlmodel
from sqlalchemy import ColumnElement, FromClause, Select, and_, or_, select, union_all
from sqlmodel import col

from app.domain.ids import is_run_id
from app.records.database import Database
from app.records.routing import Stores
from app.records.run_walks import RunFilter, walks
from app.records.tables import Run


class BadCursor(ValueError):
    """A cursor that this server did not make."""


@dataclass(frozen=True)
class Page:
    """Runs, newest first, with the cursors of the pages beside it."""

    items: list[Run] = field(default_factory=list)
    next_cursor: str | None = None
    prev_cursor: str | None = None


@dataclass(frozen=True)
class _Place:
    """A place between two rows: after it (older) or before it (newer)."""

    forwards: bool
    at: datetime
    id: str


def list_runs(stores: Stores, wanted: RunFilter, *, limit: int, cursor: str | None) -> Page:
    """One page of runs. Raises BadCursor."""
    place = _read(cursor) if cursor else None
    backwards = place is not None and not place.forwards
    found: list[Run] = []
    # a batch and its runs live beside each other
    of_batch = [stores.owner_of(wanted.batch_id)] if wanted.batch_id else None
    for database in of_batch or stores.holding_runs():
        found += _ask(database, wanted, place, limit + 1)
    found.sort(key=lambda run: (run.created_at, run.id), reverse=not backwards)
    has_more = len(found) > limit
    items = found[:limit]
    if backwards:
        items.reverse()
    if not items:
        return Page()
    older = has_more if not backwards else True
    newer = has_more if backwards else place is not None
    return Page(
        items,
        _write(True, items[-1]) if older else None,
        _write(False, items[0]) if newer else None,
    )


def _ask(database: Database, wanted: RunFilter, place: _Place | None, limit: int) -> list[Run]:
    forwards = place is None or place.forwards

    def walk(runs: FromClause) -> Select[Any, Any]:
        when, which = runs.c.created_at, runs.c.id
        query = select(which, when).limit(limit)
        if place is not None:
            query = query.where(_beyond(place, when, which))
        order = (when.desc(), which.desc()) if forwards else (when, which)
        return query.order_by(*order)

    ways = walks(wanted, walk)
    if not ways:
        return []
    with database.reading() as session:
        found = session.execute(union_all(*(select(way.subquery()) for way in ways)))
        keys = sorted({(at, run_id) for run_id, at in found}, reverse=forwards)
        ids = [run_id for _, run_id in keys[:limit]]
        return list(session.exec(sqlmodel.select(Run).where(col(Run.id).in_(ids))).all())


def _beyond(
    place: _Place, when: ColumnElement[datetime], which: ColumnElement[str]
) -> ColumnElement[bool]:
    # the first half is what an index is entered by
    if place.forwards:
        return and_(when <= place.at, or_(when < place.at, which < place.id))
    return and_(when >= place.at, or_(when > place.at, which > place.id))


def _write(forwards: bool, run: Run) -> str:
    place = f"{'n' if forwards else 'p'}|{run.created_at.astimezone(UTC).isoformat()}|{run.id}"
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _read(cursor: str) -> _Place:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        direction, at, run_id = text.split("|")
        moment = datetime.fromisoformat(at)
    except (ValueError, binascii.Error) as error:
        raise BadCursor(cursor[:80]) from error
    # exactly as `_write` makes them: nothing that a database could choke on reaches one
    if direction not in {"n", "p"} or moment.tzinfo is not UTC or not is_run_id(run_id):
        raise BadCursor(cursor[:80])
    return _Place(direction == "n", moment, run_id)
