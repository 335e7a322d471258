"""The ledger of batches: created, filled, sealed and ended, each by one guarded statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from sqlalchemy import ColumnElement, and_, case, exists, func, select, update
from sqlmodel import Session, col
from sqlmodel import select as select_rows
from sqlmodel.sql.expression import Select

from app.domain.batches import BatchStatus
from app.domain.ids import is_batch_id
from app.domain.lifecycle import DONE
from app.domain.words import Cause, Status
from app.records.database.cursors import (
    is_beyond,
    order_from,
    page_from,
    read_cursor,
    read_position,
)
from app.records.database.database import Transaction
from app.records.feed import BatchEnded, BatchSealed, ProjectChanged, QuotaChanged
from app.records.people.audit_ledger import record
from app.records.people.reach import UNLIMITED
from app.records.runs.run_statements import cost_sum, dollars_of
from app.records.stores.routing import Stores
from app.records.stores.sessions import every
from app.records.tables import Batch, BatchItem, Run

log = structlog.get_logger()


WAITS = "waits for its turn in the batch"
_DONE = [str(status) for status in DONE]
_GOING = (BatchStatus.PROCESSING, BatchStatus.ABORTED)


@dataclass(frozen=True)
class Spent:
    """A batch's share of its person's quota: the time and the number of items."""

    at: datetime
    items: int


@dataclass(frozen=True)
class Sums:
    """A batch's total cost in US dollars (None: not reported), and its runs without a change."""

    cost_usd: float | None
    no_change: int


class BatchLedger:
    """All batches of both stores."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    def find(self, batch_id: str) -> Batch | None:
        """Return the batch with this full id, or None."""
        with self.stores.owner_of(batch_id).reading() as session:
            return session.get(Batch, batch_id)

    def insert(self, tx: Transaction, batch: Batch) -> None:
        """Add a batch that waits for its items."""
        tx.add(batch)
        tx.flush()
        tx.publish(ProjectChanged(batch.project_id), QuotaChanged(batch.created_by))

    def add_item(self, tx: Transaction, batch_id: str, position: int, run_id: str) -> None:
        """Set a run's position in its batch, in the transaction that inserts the run."""
        tx.add(BatchItem(batch_id=batch_id, position=position, run_id=run_id))
        tx.flush()

    def seal(self, batch: Batch, now: datetime) -> bool:
        """Seal a batch if all items are in, so that it starts; False if it is not sealed here."""
        with self.stores.owner_of(batch.id).transaction() as tx:
            sealed = tx.exec(
                update(Batch)
                .where(
                    col(Batch.id) == batch.id,
                    col(Batch.status) == BatchStatus.PENDING,
                    col(Batch.run_count) == _received(),
                )
                .values(status=BatchStatus.PROCESSING, sealed_at=now)
                .returning(col(Batch.id))
            ).scalar_one_or_none()
            if sealed is None:
                return False
            waits = (col(Run.batch_id) == batch.id, col(Run.status) == Status.QUEUED)
            is_approved = col(Run.awaits_approval).is_(False)
            tx.exec(update(Run).where(*waits, is_approved).values(hold=WAITS))
            tx.publish(ProjectChanged(batch.project_id), BatchSealed(batch.id))
            settle(tx, batch.id, now)
        log.info("batch_sealed", batch_id=batch.id)
        return True

    def abort(self, batch: Batch, now: datetime, because: str) -> bool:
        """Abort a batch; return False if it has ended or is aborted already."""
        is_going = and_(col(Batch.ended_at).is_(None), col(Batch.status) != BatchStatus.ABORTED)
        return self._abort(batch, now, because, is_going)

    def give_up(self, batch: Batch, now: datetime, because: str) -> bool:
        """Abort an incomplete batch; return False if it is complete, or was sealed or ended."""
        lacks = and_(col(Batch.status) == BatchStatus.PENDING, col(Batch.run_count) > _received())
        return self._abort(batch, now, because, lacks)

    def _abort(self, batch: Batch, now: datetime, because: str, if_: ColumnElement[bool]) -> bool:
        query = update(Batch).where(col(Batch.id) == batch.id, if_)
        query = query.values(status=BatchStatus.ABORTED, because=because)
        with self.stores.owner_of(batch.id).transaction() as tx:
            aborted = tx.exec(query.returning(col(Batch.id))).scalar_one_or_none()
            # the batch ends with its last run, which may have ended already
            settle(tx, batch.id, now)
            if aborted is not None:
                record(tx, after={"because": because})
            tx.publish(ProjectChanged(batch.project_id))
        return aborted is not None

    def unsealed(self) -> list[tuple[Batch, int]]:
        """Return batches that are not sealed, each with the number of items received."""
        query = select_rows(Batch, _received()).where(
            col(Batch.ended_at).is_(None), col(Batch.status) == BatchStatus.PENDING
        )
        return self.stores.everywhere(query)

    def unfinished(self) -> list[Batch]:
        """Return batches in processing, oldest first."""
        query = select_rows(Batch).where(
            col(Batch.ended_at).is_(None), col(Batch.status) == BatchStatus.PROCESSING
        )
        return sorted(self.stores.everywhere(query), key=lambda batch: (batch.created_at, batch.id))

    # --- one batch -----------------------------------------------------------------------------

    def missing(self, batch: Batch) -> list[int]:
        """Return the indexes of items that have not arrived."""
        query = select_rows(BatchItem.position).where(BatchItem.batch_id == batch.id)
        with self.stores.owner_of(batch.id).reading() as session:
            there = set(session.exec(query).all())
        return [index for index in range(batch.run_count) if index not in there]

    def run_at(self, batch_id: str, position: int) -> str | None:
        """Return the id of the run at a position of a batch, or None."""
        with self.stores.owner_of(batch_id).reading() as session:
            return run_at(session, batch_id, position)

    def counts(self, batch_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        """Count the runs of each batch by status."""
        query = select_rows(Run.batch_id, Run.status, func.count())
        query = query.group_by(col(Run.batch_id), col(Run.status))
        found: dict[str, dict[str, int]] = {batch_id: {} for batch_id in batch_ids}
        for database, theirs in self.stores.by_owner(batch_ids).items():
            of_theirs = query.where(col(Run.batch_id).in_(theirs))
            with database.reading() as session:
                for batch_id, status, count in session.exec(of_theirs):
                    found[batch_id or ""][status] = count
        return found

    def sums(self, batch_id: str) -> Sums:
        """Sum up a batch's costs and its runs without a change."""
        died = and_(col(Run.status) == Status.DIED, col(Run.cause) == Cause.NO_DELIVERY)
        query = select_rows(cost_sum(), func.sum(case((died, 1), else_=0)))
        with self.stores.owner_of(batch_id).reading() as session:
            cost, no_change = session.exec(query.where(col(Run.batch_id) == batch_id)).one()
        return Sums(dollars_of(cost), no_change or 0)

    def spent(self, session: Session, person_id: str, since: datetime) -> list[Spent]:
        """Return a person's batches after a time as quota entries, oldest first."""
        query = _charged(person_id, since)
        found = [Spent(at, items) for one in every(session) for _, at, items in one.exec(query)]
        return sorted(found, key=lambda spent: spent.at)

    def charged_batches(self, person_id: str, since: datetime) -> dict[str, Spent]:
        """Return the quota entries of a person's batches after a time, by batch id."""
        rows = self.stores.everywhere(_charged(person_id, since))
        return {batch_id: Spent(at, items) for batch_id, at, items in rows}

    def charged_people(self, since: datetime) -> set[str]:
        """Return the ids of all people charged for a batch after a time."""
        query = select_rows(Batch.created_by).where(col(Batch.created_at) > since).distinct()
        return set(self.stores.everywhere(query))


def _received() -> ColumnElement[int]:
    items = select(func.count()).where(col(BatchItem.batch_id) == col(Batch.id))
    return items.correlate(Batch).scalar_subquery()


def _charged(person_id: str, since: datetime) -> Select[str, datetime, int]:
    query = select_rows(Batch.id, Batch.created_at, Batch.run_count)
    query = query.where(Batch.created_by == person_id, col(Batch.created_at) > since)
    return query.execution_options(**UNLIMITED)


def find_by_key(session: Session, project_id: str, key: str | None) -> list[Batch]:
    """Return the batches with an idempotency key, at most one per store."""
    if key is None:
        return []
    query = select_rows(Batch).where(Batch.project_id == project_id, Batch.idempotency_key == key)
    return [batch for one in every(session) for batch in one.exec(query)]


def free_key(session: Session, project_id: str, key: str | None) -> None:
    """Release a key from the batches that have it, so that another can use it."""
    for held in find_by_key(session, project_id, key):
        held.idempotency_key = None
    for one in every(session):
        one.flush()


def run_at(session: Session, batch_id: str, position: int) -> str | None:
    """Return the id of the run at a position; call it in the transaction that would fill it."""
    item = session.get(BatchItem, (batch_id, position))
    return None if item is None else item.run_id


def settle(tx: Transaction, batch_id: str, now: datetime) -> None:
    """End a batch if its last run has ended; call it in the transaction that ends the run."""
    of_batch = col(Run.batch_id) == batch_id
    is_open = exists().where(of_batch, col(Run.status).not_in(_DONE))
    has_failed = exists().where(of_batch, col(Run.status) != Status.SUCCEEDED)
    is_aborted = col(Batch.status) == BatchStatus.ABORTED
    ended = case(
        (is_aborted, BatchStatus.ABORTED),
        (has_failed, BatchStatus.PARTLY_FAILED),
        else_=BatchStatus.COMPLETED,
    )
    is_going = (col(Batch.status).in_(_GOING), col(Batch.ended_at).is_(None))
    over = tx.exec(
        update(Batch)
        .where(col(Batch.id) == batch_id, *is_going, ~is_open)
        .values(status=ended, ended_at=now)
        .returning(col(Batch.project_id), col(Batch.run_count), col(Batch.status))
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if over is not None and over[2] != BatchStatus.ABORTED:
        tx.record_event(BatchEnded(batch_id, *over[:2]))


@dataclass(frozen=True)
class BatchPage:
    """Batches, newest first, with the cursors of the previous and the next page."""

    items: list[Batch] = field(default_factory=list[Batch])
    next_cursor: str | None = None
    prev_cursor: str | None = None


@dataclass(frozen=True)
class ItemPage:
    """Positions of a batch with their runs, and the cursors of the previous and the next page."""

    items: list[tuple[int, Run]] = field(default_factory=list[tuple[int, Run]])
    next_cursor: str | None = None
    prev_cursor: str | None = None


def list_batches(
    stores: Stores, *, project_id: str | None, limit: int, cursor: str | None
) -> BatchPage:
    """Return one page of batches. Raises BadCursor."""
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
    """Return one page of a batch's items. Raises BadCursor."""
    place, position = read_position(cursor), col(BatchItem.position)
    query = select_rows(BatchItem.position, Run).join(Run, col(Run.id) == col(BatchItem.run_id))
    query = query.where(BatchItem.batch_id == batch_id, place.is_beyond(position))
    if statuses:
        query = query.where(col(Run.status).in_(statuses))
    query = query.order_by(place.order(position)).limit(limit + 1)
    with stores.owner_of(batch_id).reading() as session:
        found = [(at, run) for at, run in session.exec(query)]
    return ItemPage(*place.page(found, limit))
