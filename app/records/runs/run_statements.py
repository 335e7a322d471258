"""What every submit asks of the runs, as statements that are built once: building costs as much
as asking."""

from __future__ import annotations

from datetime import datetime
from functools import cache

from sqlalchemy import BigInteger, ColumnElement, Select, and_, bindparam, cast, func, or_, text
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.domain.lifecycle import WAITING
from app.domain.statistics import MICROS
from app.records.tables import Run

_WAITING = [str(status) for status in WAITING]
# open runs but items of batches that still wait
ASKED_FOR = text(
    "runs.released_at IS NULL"
    " AND (runs.batch_id IS NULL OR runs.status NOT IN ('delayed', 'queued'))"
)
# open runs that have left the queue, in the words of their index, which SQLite uses for these alone
BEGUN = text("runs.released_at IS NULL AND runs.status NOT IN ('delayed', 'queued')")


@cache
def by_key() -> SelectOfScalar[Run]:
    """Of `project_id` and `key`."""
    return select(Run).where(
        col(Run.project_id) == bindparam("project_id"),
        col(Run.idempotency_key) == bindparam("key"),
    )


@cache
def open_on_branch() -> SelectOfScalar[Run]:
    """Of `project_id` and `work_branch`."""
    return select(Run).where(
        col(Run.project_id) == bindparam("project_id"),
        col(Run.work_branch) == bindparam("work_branch"),
        col(Run.released_at).is_(None),
    )


@cache
def active() -> SelectOfScalar[Run]:
    """All that count for the limit of their repository."""
    return select(Run).where(col(Run.released_at).is_(None), _is_active())


@cache
def active_ids() -> Select[str, str]:
    """Of every project: its id, and the run's."""
    return select(Run.project_id, Run.id).where(col(Run.released_at).is_(None), _is_active())


@cache
def count_active() -> SelectOfScalar[int]:
    """Of `project_id`."""
    of_project = col(Run.project_id) == bindparam("project_id")
    query = select(func.count()).select_from(Run)
    return query.where(of_project, col(Run.released_at).is_(None), _is_active())


def cost_sum() -> ColumnElement[int]:
    """The cost of runs together, in millionths of a dollar, so that no sum is off by a fraction."""
    return func.sum(cast(func.round(col(Run.cost_usd) * MICROS), BigInteger))


def dollars_of(micros: int | None) -> float | None:
    """Dollars, of what `cost_sum` answered."""
    return None if micros is None else int(micros) / MICROS


def is_active(run: Run) -> bool:
    """True for an open run that counts for the limit of its repository.

    What nobody is refused for, as items of batches and what was planned for later, counts only
    from its launch on: until then it waits where the repository is full.
    """
    is_asked_for_now = run.batch_id is None and run.due_at is None
    return run.status not in WAITING or is_asked_for_now


def _is_active() -> ColumnElement[bool]:
    is_asked_for_now = and_(col(Run.batch_id).is_(None), col(Run.due_at).is_(None))
    return or_(col(Run.status).not_in(_WAITING), is_asked_for_now)


@cache
def charged() -> Select[int, datetime]:
    """How many runs of `person_id` there are after `moment`, and when the first was."""
    return select(func.count(), func.min(Run.created_at)).where(
        col(Run.charged_to) == bindparam("person_id"), col(Run.created_at) > bindparam("moment")
    )
