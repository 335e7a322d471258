"""The items of batches that wait: the first of each, without reading all of them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_
from sqlmodel import col, select

from app.domain.batches import BatchStatus, Line
from app.domain.lifecycle import LIVE, WAITING
from app.domain.words import Status
from app.records.batch_ledger import BatchLedger
from app.records.tables import Batch, BatchItem, Run

_NOT_DONE = [str(status) for status in (*WAITING, *LIVE)]


class BatchQueue:
    """What sealed batches have waiting."""

    def __init__(self, ledger: BatchLedger) -> None:
        self._ledger = ledger
        self._stores = ledger.stores

    def lines(self, now: datetime, *, at_most: int, but: Collection[str] = ()) -> list[Line[Run]]:
        """Of every sealed batch the first items that may go on, at most so many of each.

        Those of `but` are passed over.
        """
        free = _may_go_on(now)
        if but:
            free = and_(free, col(Run.id).not_in(but))
        lines = [self._line(batch, free, at_most) for batch in self._ledger.unfinished()]
        return [line for line in lines if line.items]

    def _line(self, batch: Batch, free: ColumnElement[bool], at_most: int) -> Line[Run]:
        of_batch = (col(Run.batch_id) == batch.id,)
        first = (
            select(Run)
            .join(BatchItem, col(BatchItem.run_id) == col(Run.id))
            .where(*of_batch, BatchItem.batch_id == batch.id, free)
            .order_by(col(BatchItem.position))
            .limit(at_most)
        )
        live = select(func.count()).where(*of_batch, col(Run.status).in_([str(s) for s in LIVE]))
        with self._stores.owner_of(batch.id).reading() as session:
            return Line(
                batch.id,
                session.exec(live).one(),
                session.exec(select(func.max(Run.taken_at)).where(*of_batch)).one(),
                batch.created_at,
                list(session.exec(first).all()),
            )

    def overdue(self, now: datetime) -> list[Run]:
        """Waiting items whose own time is over, wherever in the line they stand."""
        query = select(Run).where(
            col(Run.batch_id).is_not(None),
            col(Run.released_at).is_(None),
            col(Run.status) == Status.QUEUED,
            col(Run.expires_at) <= now,
        )
        return self._everywhere(query)

    def left_behind(self) -> list[tuple[Run, Batch]]:
        """Whatever waits or works still in batches that were aborted, the last first."""
        query = _left_behind(select(Run, Batch))
        return self._everywhere(query.order_by(col(Run.created_at).desc(), col(Run.id).desc()))

    def has_left_behind(self) -> bool:
        """True where there is anything of the kind."""
        return bool(self._everywhere(_left_behind(select(Run.id)).limit(1)))

    def _everywhere(self, query: Any) -> list[Any]:
        found: list[Any] = []
        for database in self._stores.holding_runs():
            with database.reading() as session:
                found += session.exec(query).all()
        return found


def _left_behind(query: Any) -> Any:
    return query.join(Batch, col(Batch.id) == col(Run.batch_id)).where(
        col(Run.released_at).is_(None),
        col(Run.status).in_(_NOT_DONE),
        col(Batch.status) == BatchStatus.ABORTED,
    )


def _may_go_on(now: datetime) -> ColumnElement[bool]:
    is_due = and_(col(Run.status) == Status.DELAYED, col(Run.due_at) <= now)
    return or_(col(Run.status) == Status.QUEUED, is_due)
