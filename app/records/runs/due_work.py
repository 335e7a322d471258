"""The work that is due for a sweep, read by one statement per store from indexes alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, TextClause, bindparam, exists, func, select, text
from sqlalchemy.orm import Mapped
from sqlmodel import col

from app.domain.words import Status
from app.records.runs.run_statements import BEGUN, DELAYED, EXPIRING, IN_LINE
from app.records.stores.routing import Stores
from app.records.tables import AccountHold, Batch, Outgoing, Project, Run, Stuck

# each exactly as in its partial index, or SQLite does not use it
HELD_PROJECTS = text("project.state <> 'ready' OR project.unreachable")
LOOPED_PROJECTS = text("project.auto_enabled AND project.archived_at IS NULL")


@dataclass(frozen=True)
class DueWork:
    """The duties of a sweep that have something to do; batch items count where they are named.

    `next_start` (UTC) is when the next waiting run is due or expires, batch items included;
    `next_launch` when the earliest of the launches that are not late was taken from the queue.
    """

    live: int
    queued: bool
    due: bool
    overdue: bool
    late_launches: bool
    resumable: bool
    batches: bool
    failed_rows: bool
    effects: bool
    account_holds: bool
    held_projects: bool
    looped_projects: bool
    next_start: datetime | None
    next_launch: datetime | None


def read_due_work(stores: Stores, now: datetime, launched_since: datetime) -> DueWork:
    """Read what is due at `now`; a launch is late if its run was taken before `launched_since`."""
    given = {"now": now, "since": launched_since}
    found: dict[str, list[Any]] = defaultdict(list)
    for database in stores.holding_runs():
        with database.reading() as session:
            for query in _statements(stores.runs is None, database is stores.control):
                row = session.connection().execute(query, given).mappings().one()
                for name, value in row.items():
                    found[name].append(value)
    return DueWork(
        live=sum(found["live"]),
        next_start=_first([*found["next_due"], *found["next_expiry"]]),
        next_launch=_first(found["next_launch"]),
        **{name: any(found[name]) for name in (*_of_runs(), *_of_control())},
    )


@dataclass(frozen=True)
class HeldProject:
    """A project in which nothing starts: being cloned, broken, or out of reach."""

    id: str
    state: str
    state_because: str | None
    unreachable: bool
    origin_because: str | None


def held_projects(stores: Stores) -> list[HeldProject]:
    """Return the projects in which nothing starts."""
    columns = [col(getattr(Project, one.name)) for one in fields(HeldProject)]
    query = select(*columns).where(HELD_PROJECTS)
    with stores.control.reading() as session:
        return [HeldProject(*row) for row in session.connection().execute(query)]


def _first(moments: Iterable[datetime | None]) -> datetime | None:
    return min((one for one in moments if one is not None), default=None)


@cache
def _statements(is_one: bool, is_control: bool) -> list[Select[Any]]:
    """Return the statements for a store: one where it is the only one."""
    of_runs = {**_of_runs(), **_figures()}
    if is_one:
        return [_selected({**of_runs, **_of_control()})]
    if is_control:
        return [_selected(of_runs), _selected(_of_control())]
    return [_selected(of_runs)]


def _selected(columns: dict[str, ColumnElement[Any]]) -> Select[Any]:
    return select(*(one.label(name) for name, one in columns.items()))


@cache
def _of_runs() -> dict[str, ColumnElement[bool]]:
    now: ColumnElement[Any] = bindparam("now")
    since: ColumnElement[Any] = bindparam("since")
    taken_at, due_at, expires_at = col(Run.taken_at), col(Run.due_at), col(Run.expires_at)
    return {
        # the least of an index, because SQLite may look for any row without the index
        "queued": _least(col(Run.created_at), IN_LINE).is_not(None),
        "due": _any(Run, DELAYED, due_at <= now, col(Run.batch_id).is_(None)),
        "overdue": _any(Run, EXPIRING, expires_at <= now),
        "late_launches": _any(Run, BEGUN, col(Run.status) == Status.STARTING, taken_at <= since),
        "resumable": _any(Run, text("runs.may_resume")),
        "batches": _any(Batch, col(Batch.ended_at).is_(None)),
        "failed_rows": _any(Stuck),
        "effects": _any(Outgoing),
    }


@cache
def _of_control() -> dict[str, ColumnElement[bool]]:
    return {
        "account_holds": _any(AccountHold),
        "held_projects": _any(Project, HELD_PROJECTS),
        "looped_projects": _any(Project, LOOPED_PROJECTS),
    }


@cache
def _figures() -> dict[str, ColumnElement[Any]]:
    now: ColumnElement[Any] = bindparam("now")
    since: ColumnElement[Any] = bindparam("since")
    due_at, expires_at, taken_at = col(Run.due_at), col(Run.expires_at), col(Run.taken_at)
    is_launched = (BEGUN, col(Run.status) == Status.STARTING, taken_at > since)
    return {
        "live": select(func.count()).select_from(Run).where(BEGUN).scalar_subquery(),
        "next_due": _least(due_at, DELAYED, due_at > now),
        "next_expiry": _least(expires_at, EXPIRING, expires_at > now),
        "next_launch": _least(taken_at, *is_launched),
    }


def _any(table: type[Any], *conditions: ColumnElement[bool] | TextClause) -> ColumnElement[bool]:
    return exists(select(1).select_from(table).where(*conditions))


def _least(
    column: Mapped[Any], *conditions: ColumnElement[bool] | TextClause
) -> ColumnElement[Any]:
    return select(func.min(column)).select_from(Run).where(*conditions).scalar_subquery()
