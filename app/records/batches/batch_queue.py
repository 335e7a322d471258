"""The queue of batch items: reads only the first items of each batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_
from sqlmodel import col, select

from app.domain.batches import BatchStatus, Line
from app.domain.lifecycle import LIVE, WAITING
from app.domain.words import Status
from app.records.batches.batch_ledger import BatchLedger
from app.records.tables import Batch, BatchItem, Run

_NOT_DONE = [str(status) for status in (*WAITING, *LIVE)]

# pairs of agent and model, because they share an account and its limit
Kinds = set[tuple[str, str | None]]


@dataclass(frozen=True)
class Met:
    """State of one fill: blocked runs, projects and kinds, so that similar items are skipped."""

    runs: set[str] = field(default_factory=set[str])
    projects: set[str] = field(default_factory=set[str])
    kinds: dict[str, Kinds] = field(default_factory=dict[str, Kinds])

    def add_kind(self, run: Run) -> None:
        """Skip all items of this run's project with the same agent and model."""
        self.kinds.setdefault(run.project_id, set()).add((run.agent, run.model))

    def covers(self, run: Run) -> bool:
        """Return True if this run would have to wait too."""
        is_kind = (run.agent, run.model) in self.kinds.get(run.project_id, ())
        return is_kind or run.id in self.runs or run.project_id in self.projects


class BatchQueue:
    """The waiting items of sealed batches."""

    def __init__(self, ledger: BatchLedger) -> None:
        self._ledger = ledger
        self._stores = ledger.stores

    def lines(self, now: datetime, *, at_most: int, but: Met) -> list[Line[Run]]:
        """Return the first startable items of every sealed batch, at most `at_most` of each.

        Skips items that `but` covers.
        """
        batches = [one for one in self._ledger.unfinished() if one.project_id not in but.projects]
        lines = [self._line(one, _may_go_on(now, one, but), at_most) for one in batches]
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

    def left_behind(self) -> list[tuple[Run, Batch]]:
        """Return runs of aborted batches that still wait or work, newest first."""
        left = self._stores.everywhere(_left_behind(select(Run, Batch)))
        return sorted(left, key=lambda one: (one[0].created_at, one[0].id), reverse=True)

    def has_left_behind(self) -> bool:
        """Return True if an aborted batch has such runs."""
        return bool(self._stores.everywhere(_left_behind(select(Run.id)).limit(1)))


def _left_behind(query: Any) -> Any:
    return query.join(Batch, col(Batch.id) == col(Run.batch_id)).where(
        col(Run.released_at).is_(None),
        col(Run.status).in_(_NOT_DONE),
        col(Batch.status) == BatchStatus.ABORTED,
    )


def _may_go_on(now: datetime, batch: Batch, but: Met) -> ColumnElement[bool]:
    is_due = and_(col(Run.status) == Status.DELAYED, col(Run.due_at) <= now)
    found = [or_(col(Run.status) == Status.QUEUED, is_due), col(Run.awaits_approval).is_(False)]
    if but.runs:
        found.append(col(Run.id).not_in(but.runs))
    for agent, model in but.kinds.get(batch.project_id, ()):
        found.append(or_(col(Run.agent) != agent, col(Run.model).is_distinct_from(model)))
    return and_(*found)
