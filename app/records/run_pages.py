"""Pages of runs: keyset over (created_at, id), newest first, forwards and back."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, and_, or_
from sqlmodel import col, select

from app.domain.ids import is_run_id
from app.domain.lifecycle import DONE, LIVE, WAITING
from app.domain.words import Phase
from app.records.database import Database
from app.records.routing import Stores
from app.records.tables import Run

PHASES = {Phase.WAITING: WAITING, Phase.LIVE: LIVE, Phase.DONE: DONE}


class BadCursor(ValueError):
    """A cursor that this server did not make."""


@dataclass(frozen=True)
class RunFilter:
    """Which runs to list; empty means any."""

    project_id: str | None = None
    statuses: Sequence[str] = ()
    phase: Phase | None = None
    trigger: str | None = None
    branch: str | None = None
    text: str | None = None
    batch_id: str | None = None


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
    for database in stores.holding_runs():
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
    query = select(Run).where(*_conditions(wanted))
    when, which = col(Run.created_at), col(Run.id)
    if place is None or place.forwards:
        if place is not None:
            query = query.where(
                when <= place.at, or_(when < place.at, and_(when == place.at, which < place.id))
            )
        query = query.order_by(when.desc(), which.desc())
    else:
        query = query.where(
            when >= place.at, or_(when > place.at, and_(when == place.at, which > place.id))
        ).order_by(when, which)
    with database.reading() as session:
        return list(session.exec(query.limit(limit)).all())


def _conditions(wanted: RunFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.project_id:
        conditions.append(col(Run.project_id) == wanted.project_id)
    if wanted.statuses:
        conditions.append(col(Run.status).in_(wanted.statuses))
    if wanted.phase:
        conditions.append(col(Run.status).in_([str(one) for one in PHASES[wanted.phase]]))
    if wanted.trigger:
        conditions.append(col(Run.trigger) == wanted.trigger)
    if wanted.branch:
        conditions.append(
            or_(col(Run.branch_name) == wanted.branch, col(Run.work_branch) == wanted.branch)
        )
    if wanted.batch_id:
        conditions.append(col(Run.batch_id) == wanted.batch_id)
    if wanted.text:
        conditions.append(_text_matches(wanted.text.strip().lstrip("…#")))
    return conditions


def _text_matches(text: str) -> ColumnElement[bool]:
    matches: list[ColumnElement[bool]] = [
        col(Run.id).startswith(text, autoescape=True),
        col(Run.id).endswith(text, autoescape=True),
        col(Run.work_branch).startswith(text, autoescape=True),
        col(Run.title).icontains(text, autoescape=True),
    ]
    if text.isascii() and text.isdigit() and len(text) < 10:
        matches.append(col(Run.issue) == int(text))
    return or_(*matches)


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
