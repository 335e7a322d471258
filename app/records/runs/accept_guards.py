"""The facts that refuse a run when it is accepted: one statement per store, built once.

Read under the write lock, so that nothing can change before the commit. Rows are loaded only for
the refusal that names them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Integer, ScalarSelect, String, bindparam, func, select
from sqlalchemy.sql import Select
from sqlmodel import Session, SQLModel, col

from app.records.projects.project_reading import unreadable_named
from app.records.runs.run_statements import counts_as_active
from app.records.stores.identity import NEW_RUNS
from app.records.stores.sessions import control_of, every
from app.records.tables import Project, Run, Setting


@dataclass(frozen=True)
class ProjectFacts:
    """The columns of a project that can refuse a run."""

    state: str
    state_because: str | None
    archived_at: datetime | None
    max_concurrency: int


@dataclass(frozen=True)
class Guards:
    """The facts that refuse a run, as a transaction sees them.

    `new_runs` is the recorded place of new runs, `charged` counts the runs charged to the person
    since a moment, and `active` those that count for the project's concurrency limit, at most as
    many as were asked for.
    """

    project: ProjectFacts | None
    new_runs: str | None
    is_key_known: bool
    is_branch_taken: bool
    charged: int
    active: int


def read_guards(session: Session, run: Run, charged_after: datetime | None, *, most: int) -> Guards:
    """Read the guards of a run in the stores that `session` sees. Raises ProjectUnreadable.

    Counts at most `most` active runs of each store.
    """
    asked = {
        "project_id": run.project_id,
        "key": run.idempotency_key,
        "work_branch": run.work_branch,
        "person_id": run.charged_to,
        "moment": charged_after or run.created_at,
        "most": most,
    }
    stores = every(session)
    with unreadable_named(run.project_id):
        if len(stores) == 1:
            both = _row(session, _of_both(), asked)
            return _guards(both[:5] if both else None, [both[5:]] if both else [])
        project = _row(control_of(session), _of_project(), asked)
    return _guards(project, [_row(one, _of_runs(), asked) for one in stores])


def _guards(project: Sequence[Any] | None, rows: Sequence[Sequence[Any]]) -> Guards:
    return Guards(
        project=ProjectFacts(*project[:4]) if project else None,
        new_runs=project[4] if project else None,
        is_key_known=any(row[0] is not None for row in rows),
        is_branch_taken=any(row[1] is not None for row in rows),
        charged=sum(row[2] for row in rows),
        active=sum(row[3] for row in rows),
    )


def _row(session: Session, query: Select[*tuple[Any, ...]], asked: Mapping[str, Any]) -> Any:
    return session.connection().execute(query, asked).one_or_none()


# with one database a statement reads all; with two, none names tables of both
@cache
def _of_both() -> Select[*tuple[Any, ...]]:
    return _where_project(select(*_project_columns(), *_run_columns()))


@cache
def _of_project() -> Select[*tuple[Any, ...]]:
    return _where_project(select(*_project_columns()))


@cache
def _of_runs() -> Select[*tuple[Any, ...]]:
    return select(*_run_columns())


def _where_project(query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    return query.where(col(Project.id) == bindparam("project_id", type_=String))


def _project_columns() -> tuple[ColumnElement[Any], ...]:
    new_runs = select(col(Setting.value)).where(col(Setting.name) == NEW_RUNS).scalar_subquery()
    columns = SQLModel.metadata.tables["project"].c
    return (*(columns[field.name] for field in fields(ProjectFacts)), new_runs)


def _run_columns() -> tuple[ScalarSelect[Any], ...]:
    of_project = col(Run.project_id) == bindparam("project_id", type_=String)
    is_open = col(Run.released_at).is_(None)
    return (
        _first_id(of_project, col(Run.idempotency_key) == bindparam("key", type_=String)),
        _first_id(of_project, col(Run.work_branch) == bindparam("work_branch"), is_open),
        _count(
            col(Run.charged_to) == bindparam("person_id", type_=String),
            col(Run.created_at) > bindparam("moment"),
        ),
        _count_some(of_project, is_open, counts_as_active()),
    )


def _first_id(*conditions: ColumnElement[bool]) -> ScalarSelect[str]:
    return select(col(Run.id)).where(*conditions).limit(1).scalar_subquery()


def _count_some(*conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    some = select(col(Run.id)).where(*conditions).limit(bindparam("most", type_=Integer))
    return select(func.count(type_=Integer)).select_from(some.subquery()).scalar_subquery()


def _count(*conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    count = func.count(type_=Integer)
    return select(count).select_from(Run).where(*conditions).scalar_subquery()
