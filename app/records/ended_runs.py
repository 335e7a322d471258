"""How runs ended between two moments: what a digest sums up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col
from sqlmodel import select as select_rows

from app.domain.lifecycle import WAITING
from app.domain.words import Cause, Status
from app.records.routing import Stores
from app.records.run_statements import cost_sum, dollars_of
from app.records.tables import Run


@dataclass(frozen=True)
class EndedAlike:
    """Runs of one end: how many, and what they cost in US dollars where that is known."""

    status: Status
    cause: Cause | None
    count: int
    cost_usd: float | None


def ended_of_batch(session: Session, batch_id: str) -> list[EndedAlike]:
    """The runs of a batch, all of which have ended, by status and cause."""
    return _alike(session.exec(_sums().where(col(Run.batch_id) == batch_id)))


def last_of_batch(session: Session, batch_id: str, *, limit: int) -> list[Run]:
    """The last of the same, newest first."""
    query = select_rows(Run).where(col(Run.batch_id) == batch_id)
    return list(session.exec(query.order_by(col(Run.ended_at).desc()).limit(limit)).all())


class EndedRuns:
    """Reads ended runs of every store."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def sums(self, begin: datetime, end: datetime) -> list[EndedAlike]:
        """The runs that ended from `begin` until before `end`, by status and cause."""
        query = _sums().where(col(Run.ended_at) >= begin, col(Run.ended_at) < end)
        return _alike(self._stores.everywhere(query))

    def newest(self, begin: datetime, end: datetime, *, limit: int) -> list[Run]:
        """The last of the same, newest first."""
        query = select_rows(Run).where(col(Run.ended_at) >= begin, col(Run.ended_at) < end)
        found = self._stores.everywhere(query.order_by(col(Run.ended_at).desc()).limit(limit))
        return sorted(found, key=lambda run: (run.ended_at, run.id), reverse=True)[:limit]

    def count_held(self) -> int:
        """Runs that wait, and say what for."""
        query = select_rows(func.count()).where(
            col(Run.released_at).is_(None),
            col(Run.status).in_(WAITING),
            col(Run.hold).is_not(None),
        )
        return sum(self._stores.everywhere(query))


def _sums() -> Any:
    query = select_rows(Run.status, Run.cause, func.count(), cost_sum())
    return query.group_by(col(Run.status), col(Run.cause))


def _alike(rows: Iterable[Any]) -> list[EndedAlike]:
    return [
        EndedAlike(Status(status), Cause(cause) if cause else None, count, dollars_of(cost))
        for status, cause, count, cost in rows
    ]
