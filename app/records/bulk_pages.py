"""Pages of the runs of a bulk order, in the order in which it is done, forwards and back."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlmodel import col
from sqlmodel import select as select_rows

from app.records.cursors import read_position
from app.records.routing import Stores
from app.records.tables import BulkItem


@dataclass(frozen=True)
class BulkPage:
    """Some of its runs, with the cursors of the pages beside it."""

    items: list[BulkItem] = field(default_factory=list)
    next_cursor: str | None = None
    prev_cursor: str | None = None


def list_items(stores: Stores, bulk_id: str, *, limit: int, cursor: str | None) -> BulkPage:
    """One page. Raises BadCursor."""
    place, position = read_position(cursor), col(BulkItem.position)
    query = select_rows(BulkItem).where(BulkItem.bulk_id == bulk_id, place.is_beyond(position))
    with stores.control.reading() as session:
        found = session.exec(query.order_by(place.order(position)).limit(limit + 1)).all()
    items, *beside = place.page([(item.position, item) for item in found], limit)
    return BulkPage([item for _, item in items], *beside)
