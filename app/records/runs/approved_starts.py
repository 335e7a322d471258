"""Runs that wait for the approval of their start, or for room once they have it."""
# stands alone: the ledger of runs is full

from __future__ import annotations

from sqlalchemy import update
from sqlmodel import Session, col, select, text

from app.domain.lifecycle import WAITING
from app.domain.words import Status, Trigger
from app.records.database.database import Transaction
from app.records.feed import ProjectChanged, RunChanged, StartMoved
from app.records.runs.run_statements import IN_LINE
from app.records.stores.sessions import every
from app.records.tables import Run

# exactly as in its index, or SQLite does not use it
UNAPPROVED = text("runs.awaits_approval")


def let_start(tx: Transaction, run: Run) -> Run | None:
    """Let a run that waits for approval join the queue; None if it does not wait any more.

    In a transaction of the run's store.
    """
    is_waiting = (col(Run.status).in_(WAITING), col(Run.awaits_approval))
    approved = tx.scalars(
        update(Run)
        .where(col(Run.id) == run.id, *is_waiting)
        .values(awaits_approval=False, hold=None)
        .returning(Run)
        .execution_options(synchronize_session=False, populate_existing=True)
    ).one_or_none()
    if approved is not None:
        starts_at = approved.due_at if approved.status == Status.DELAYED else None
        tx.publish(RunChanged(run.id, run.project_id), ProjectChanged(run.project_id))
        tx.publish(StartMoved(run.id, starts_at))
    return approved


def projects_asking(session: Session) -> frozenset[str]:
    """Return the projects in which a run of the loop was asked for and has not begun yet."""
    of_loop = select(Run.project_id).where(Run.trigger == Trigger.AUTO).distinct()
    # apart, so that each follows its index; no auto run has a start time but by its approval
    unapproved = of_loop.where(UNAPPROVED, col(Run.released_at).is_(None))
    approved = of_loop.where(IN_LINE, col(Run.due_at).is_not(None))
    return frozenset(
        one
        for store in every(session)
        for query in (unapproved, approved)
        for one in store.exec(query)
    )
