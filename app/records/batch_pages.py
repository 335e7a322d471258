"""Pages of batches, newest first, and of a batch's items, in their order: forwards and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlmodel import col
from sqlmodel import select as select_rows

from app.domain.ids import is_batch_id
from app.records.cursors import is_beyond, order_from, page_from, read_cursor, read_position
from app.records.routing import Stores
from app.records.tables import Batch, BatchItem, Run


@dataclass(frozen=True)
class BatchPage:
    """Batches, newest first, with the cursors of the pages beside it."""

    items: list[Batch] = field(default_factory=list)
    next_cursor: str | None = None
    prev_cursor: str | None = None


@dataclass(frozen=True)
class ItemPage:
    """Places of a batch with their runs, and the cursors of the pages beside it."""

    items: list[tuple[int, Run]] = field(default_factory=list)
    next_cursor: str | None = None
    prev_cursor: str | None = None


def list_batches(
    stores: Stores, *, project_id: str | None, limit: int, cursor: str | None
) -> BatchPage:
    """One page of batches. Raises BadCursor."""
    place, beside = read_cursor(cursor, is_batch_id), (col(Batch.created_at), col(Batch.id))
    query = select_rows(Batch)
    if project_id:
        query = query.where(Batch.project_id == project_id)
    if place is not None:
        query = query.where(is_beyond(place, *beside))
    query = query.order_by(*order_from(place, *beside)).limit(limit + 1)
    return BatchPage(*page_from(place, stores.everywhere(query), limit))


def list_items(
    stores: Stores,
    batch_id: str,
    *,
    limit: int,
    cursor: str | None = None,
    statuses: Sequence[str] = (),
) -> ItemPage:
    """One page of a batch's items. Raises BadCursor."""
    place, position = read_position(cursor), col(BatchItem.position)
    query = select_rows(BatchItem.position, Run).join(Run, col(Run.id) == col(BatchItem.run_id))
    query = query.where(BatchItem.batch_id == batch_id, place.is_beyond(position))
    if statuses:
        query = query.where(col(Run.status).in_(statuses))
    query = query.order_by(place.order(position)).limit(limit + 1)
    with stores.owner_of(batch_id).reading() as session:
        found = [(at, run) for at, run in session.exec(query)]
    return ItemPage(*place.page(found, limit))
