"""Statements for every submit, built once, because building one costs as much as running it."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Integer,
    String,
    bindparam,
    cast,
    func,
    insert,
    or_,
    text,
)
from sqlalchemy.sql.dml import ReturningInsert
from sqlmodel import SQLModel, col, select
from sqlmodel.sql.expression import Select, SelectOfScalar

from app.domain.lifecycle import WAITING
from app.domain.statistics import MICROS
from app.records.people.reach import UNLIMITED
from app.records.tables import Run

# open runs, except batch items that still wait
ASKED_FOR = text(
    "runs.released_at IS NULL"
    " AND (runs.batch_id IS NULL OR runs.status NOT IN ('delayed', 'queued'))"
)
# open runs that have left the queue, exactly as in the index, or SQLite does not use it
BEGUN = text("runs.released_at IS NULL AND runs.status NOT IN ('delayed', 'queued')")
# runs in the queue, exactly as in their indexes too
QUEUED = text("runs.status IN ('delayed', 'queued')")
# likewise: queued runs that wait for no approval, except batch items; delayed runs; queued runs
# with a time to live
IN_LINE = text(
    "runs.released_at IS NULL AND runs.batch_id IS NULL AND runs.status = 'queued'"
    " AND NOT runs.awaits_approval"
)
DELAYED = text("runs.status = 'delayed'")
# likewise: those in the queue that count for a concurrency limit
ASKED_FOR_NOW = text(
    "runs.released_at IS NULL AND runs.status IN ('delayed', 'queued')"
    " AND runs.batch_id IS NULL AND runs.due_at IS NULL"
)
EXPIRING = text(
    "runs.released_at IS NULL AND runs.status = 'queued' AND runs.expires_at IS NOT NULL"
)


@cache
def by_key() -> SelectOfScalar[Run]:
    """Select the run with an idempotency key; parameters `project_id` and `key`."""
    return select(Run).where(
        col(Run.project_id) == bindparam("project_id"),
        col(Run.idempotency_key) == bindparam("key"),
    )


@cache
def id_by_key() -> sqlalchemy.Select[str]:
    """Select the id of the run with an idempotency key, with the same parameters."""
    runs = SQLModel.metadata.tables["runs"].c
    query = sqlalchemy.select(runs.id).where(runs.project_id == bindparam("project_id"))
    return query.where(runs.idempotency_key == bindparam("key"))


@cache
def insert_event_of_each() -> ReturningInsert[int, str]:
    """Insert lines of many timelines; select their ids and the runs' ids."""
    events = SQLModel.metadata.tables["run_events"]
    return insert(events).returning(events.c.id, events.c.run_id)


@cache
def open_on_branch() -> SelectOfScalar[Run]:
    """Select the open run on a branch; parameters `project_id` and `work_branch`."""
    return select(Run).where(
        col(Run.project_id) == bindparam("project_id"),
        col(Run.work_branch) == bindparam("work_branch"),
        col(Run.released_at).is_(None),
    )


@cache
def count_active_alike() -> CompoundSelect[*tuple[Any, ...]]:
    """Count the runs that count for a concurrency limit, by project and trigger."""
    alike = (col(Run.project_id), col(Run.trigger))
    counted = sqlalchemy.select(*alike, func.count()).group_by(*alike)
    # apart, so that each follows its index
    waiting = counted.where(IN_LINE, col(Run.due_at).is_(None))
    return sqlalchemy.union_all(counted.where(BEGUN), waiting)


@cache
def active_ids() -> Select[str, str]:
    """Select project id and run id of all runs that count for a concurrency limit."""
    query = select(Run.project_id, Run.id).where(col(Run.released_at).is_(None))
    return query.where(or_(BEGUN, ASKED_FOR_NOW))


@cache
def count_active() -> SelectOfScalar[int]:
    """Count the runs that count for the limit of `project_id`."""
    of_project = col(Run.project_id) == bindparam("project_id", type_=String)
    query = sqlalchemy.select(func.count(type_=Integer)).select_from(Run).where(of_project)
    # apart, so that each follows its index
    begun, waiting = query.where(BEGUN), query.where(ASKED_FOR_NOW)
    return select(begun.scalar_subquery() + waiting.scalar_subquery())


def cost_sum() -> ColumnElement[int]:
    """Return the sum of costs in millionths of a dollar, so that it is exact."""
    return func.sum(cast(func.round(col(Run.cost_usd) * MICROS), BigInteger))


def dollars_of(micros: int | None) -> float | None:
    """Convert a result of `cost_sum` to dollars."""
    return None if micros is None else int(micros) / MICROS


def is_active(run: Run) -> bool:
    """Return True if an open run counts for its project's concurrency limit.

    Batch items and delayed runs are never refused for the limit, so they count only from their
    launch on; until then they wait.
    """
    is_asked_for_now = run.batch_id is None and run.due_at is None
    return run.status not in WAITING or is_asked_for_now


@cache
def charged() -> Select[int, datetime]:
    """Count the runs of `person_id` after `moment`, and select the first one's time."""
    query = select(func.count(), func.min(Run.created_at)).where(
        col(Run.charged_to) == bindparam("person_id"), col(Run.created_at) > bindparam("moment")
    )
    return query.execution_options(**UNLIMITED)
