"""Pages of batches: keyset over (created_at, id), newest first."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import and_, or_
from sqlmodel import col, select

from app.domain.ids import is_batch_id
from app.records.routing import Stores
from app.records.tables import Batch


class BadCursor(ValueError):
    """A cursor that this server did not make."""


@dataclass(frozen=True)
class BatchPage:
    """Batches, newest first, with the cursor of the older ones."""

    items: list[Batch] = field(default_factory=list)
    next_cursor: str | None = None


def list_batches(
    stores: Stores, *, project_id: str | None, limit: int, cursor: str | None
) -> BatchPage:
    """One page of batches. Raises BadCursor."""
    query = select(Batch)
    if project_id:
        query = query.where(Batch.project_id == project_id)
    if cursor:
        at, batch_id = _read(cursor)
        when, which = col(Batch.created_at), col(Batch.id)
        query = query.where(when <= at, or_(when < at, and_(when == at, which < batch_id)))
    query = query.order_by(col(Batch.created_at).desc(), col(Batch.id).desc()).limit(limit + 1)
    found: list[Batch] = []
    for database in stores.holding_runs():
        with database.reading() as session:
            found += session.exec(query).all()
    found.sort(key=lambda batch: (batch.created_at, batch.id), reverse=True)
    items = found[:limit]
    return BatchPage(items, _write(items[-1]) if len(found) > limit else None)


def _write(batch: Batch) -> str:
    return f"{batch.created_at.astimezone(UTC):%Y%m%dT%H%M%S.%f}~{batch.id}"


def _read(cursor: str) -> tuple[datetime, str]:
    text, _, batch_id = cursor.partition("~")
    try:
        at = datetime.strptime(text, "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC)
    except ValueError as error:
        raise BadCursor(cursor[:80]) from error
    if not is_batch_id(batch_id):
        raise BadCursor(cursor[:80])
    return at, batch_id
