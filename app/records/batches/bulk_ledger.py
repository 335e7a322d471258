"""The ledger of bulk actions: a fixed list of runs, and the result of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, update
from sqlmodel import col
from sqlmodel import select as select_rows

from app.domain.batches import BulkState, BulkStatus
from app.records.database.cursors import read_position
from app.records.feed import BulkChanged
from app.records.people.audit_ledger import record
from app.records.stores.routing import Stores
from app.records.tables import Bulk, BulkItem

_pending = col(BulkItem.state) == BulkState.PENDING


class BulkLedger:
    """All bulk actions, in the control store."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self._database = stores.control

    def insert(self, bulk: Bulk, run_ids: Sequence[str]) -> None:
        """Add a bulk action with its runs."""
        with self._database.transaction() as tx:
            tx.add(bulk)
            tx.flush()
            record(tx, bulk.id, after={"action": bulk.action, "runs": len(run_ids)})
            tx.add_all(
                BulkItem(bulk_id=bulk.id, position=position, run_id=run_id, state=BulkState.PENDING)
                for position, run_id in enumerate(run_ids)
            )
            tx.publish(BulkChanged(bulk.id))

    def find(self, bulk_id: str) -> Bulk | None:
        """Return the bulk action with this id, or None."""
        with self._database.reading() as session:
            return session.get(Bulk, bulk_id)

    def newest(self, limit: int) -> list[Bulk]:
        """Return the latest bulk actions, newest first."""
        query = select_rows(Bulk).order_by(col(Bulk.created_at).desc(), col(Bulk.id).desc())
        with self._database.reading() as session:
            return list(session.exec(query.limit(limit)).all())

    def unfinished(self) -> list[Bulk]:
        """Return bulk actions that have not ended, oldest first."""
        query = select_rows(Bulk).where(col(Bulk.ended_at).is_(None)).order_by(col(Bulk.created_at))
        with self._database.reading() as session:
            return list(session.exec(query).all())

    def items(
        self,
        bulk_id: str,
        *,
        after: int,
        limit: int,
        last: int | None = None,
        only_pending: bool = False,
    ) -> list[BulkItem]:
        """Return items in order, with positions above `after` and up to `last`."""
        query = select_rows(BulkItem).where(
            BulkItem.bulk_id == bulk_id, col(BulkItem.position) > after
        )
        if last is not None:
            query = query.where(col(BulkItem.position) <= last)
        if only_pending:
            query = query.where(_pending)
        with self._database.reading() as session:
            return list(session.exec(query.order_by(col(BulkItem.position)).limit(limit)).all())

    def settle(
        self, item: BulkItem, state: BulkState, because: str | None, new_run_id: str | None = None
    ) -> None:
        """Write the result of a pending item."""
        columns = {"state": state, "because": because, "new_run_id": new_run_id}
        with self._database.transaction() as tx:
            tx.exec(
                update(BulkItem)
                .where(
                    col(BulkItem.bulk_id) == item.bulk_id,
                    col(BulkItem.position) == item.position,
                    _pending,
                )
                .values(**columns)
            )
            tx.publish(BulkChanged(item.bulk_id))

    def set_hold(self, bulk_id: str, hold: str) -> None:
        """Set why a bulk action waits; announce it if that changed."""
        is_new = (col(Bulk.ended_at).is_(None), col(Bulk.hold).is_distinct_from(hold))
        query = update(Bulk).where(col(Bulk.id) == bulk_id, *is_new).values(hold=hold)
        with self._database.transaction() as tx:
            if tx.exec(query.returning(col(Bulk.id))).scalar_one_or_none() is not None:
                tx.publish(BulkChanged(bulk_id))

    def counts(self, bulk_id: str) -> dict[str, int]:
        """Count the items by state."""
        query = select_rows(BulkItem.state, func.count()).where(col(BulkItem.bulk_id) == bulk_id)
        with self._database.reading() as session:
            found = session.exec(query.group_by(col(BulkItem.state)))
            return {str(state): count for state, count in found}

    def end(self, bulk_id: str, status: BulkStatus, now: datetime) -> bool:
        """End a bulk action, once; pending items become `left`."""
        query = update(Bulk).where(col(Bulk.id) == bulk_id, col(Bulk.ended_at).is_(None))
        query = query.values(status=status, ended_at=now, hold=None).returning(col(Bulk.id))
        of_bulk = col(BulkItem.bulk_id) == bulk_id
        with self._database.transaction() as tx:
            ended = tx.exec(query).scalar_one_or_none()
            if ended is not None:
                record(tx)
                tx.exec(update(BulkItem).where(of_bulk, _pending).values(state=BulkState.LEFT))
                tx.publish(BulkChanged(bulk_id))
        return ended is not None


@dataclass(frozen=True)
class BulkPage:
    """Items of a bulk action, with the cursors of the previous and the next page."""

    items: list[BulkItem] = field(default_factory=list[BulkItem])
    next_cursor: str | None = None
    prev_cursor: str | None = None


def list_items(stores: Stores, bulk_id: str, *, limit: int, cursor: str | None) -> BulkPage:
    """Return one page of a bulk action's items. Raises BadCursor."""
    place, position = read_position(cursor), col(BulkItem.position)
    query = select_rows(BulkItem).where(BulkItem.bulk_id == bulk_id, place.is_beyond(position))
    with stores.control.reading() as session:
        found = session.exec(query.order_by(place.order(position)).limit(limit + 1)).all()
    items, *beside = place.page([(item.position, item) for item in found], limit)
    return BulkPage([item for _, item in items], *beside)
