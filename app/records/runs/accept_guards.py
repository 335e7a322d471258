"""The facts that refuse a run when it is accepted: one statement per store, built once.

Read under the write lock, so that nothing can change before the commit. Rows are loaded only for
the refusal that names them. The end of the audit is read along, for the row that an accept appends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    ScalarSelect,
    String,
    TextClause,
    bindparam,
    func,
    literal_column,
    select,
)
from sqlalchemy.sql import Select
from sqlmodel import Session, SQLModel, col

from app.records.people.audit_ledger import expect_append, last_hash
from app.records.projects.project_reading import unreadable_named
from app.records.runs.run_statements import ASKED_FOR_NOW, BEGUN, is_active
from app.records.stores.identity import NEW_RUNS
from app.records.stores.sessions import SHARED, control_of, every
from app.records.tables import Project, Run, Setting

_KNOWN = "known_guards"
# clocks are read before the turn to write, so that a later one may count from an earlier moment
SLACK = timedelta(seconds=1)


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


@dataclass
class _Known:
    """Facts that a shared transaction has read for the runs before, with what it added since.

    `charged` has, by person, after which moment and how many; `active`, by project, how many were
    counted at most and how many there are.
    """

    projects: dict[str, Sequence[Any]] = field(default_factory=dict[str, Sequence[Any]])
    charged: dict[str, tuple[datetime, int]] = field(
        default_factory=dict[str, tuple[datetime, int]]
    )
    active: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])

    def counts(self, asked: _Asked) -> tuple[int, int] | None:
        """Return the charged and the active runs, perhaps too many; None if they are not known."""
        after, charged = self.charged.get(asked.person_id or "", (asked.moment, 0))
        most, active = self.active.get(asked.project_id, (asked.most, 0))
        is_known = (
            asked.project_id in self.projects
            and (asked.person_id is None or asked.person_id in self.charged)
            and (not asked.most or asked.project_id in self.active)
        )
        is_enough = after <= asked.moment and most == asked.most
        return (charged, active) if is_known and is_enough else None

    def learn(self, asked: _Asked, project: Sequence[Any], found: Guards) -> None:
        """Remember what was read for a run."""
        self.projects[asked.project_id] = project
        if asked.person_id is not None:
            self.charged[asked.person_id] = asked.moment, found.charged
        if asked.most:
            self.active[asked.project_id] = asked.most, found.active


@dataclass(frozen=True)
class _Asked:
    """The parameters of all statements here."""

    project_id: str
    key: str | None
    work_branch: str
    person_id: str | None
    moment: datetime
    most: int


def read_guards(session: Session, run: Run, charged_after: datetime | None, *, most: int) -> Guards:
    """Read the guards of a run in the stores that `session` sees. Raises ProjectUnreadable.

    Counts at most `most` active runs of each store. In a shared transaction both counts may be too
    high, because what was counted for an earlier run is not counted again.
    """
    known = session.info.setdefault(_KNOWN, _Known()) if SHARED in session.info else None
    asked = _Asked(
        project_id=run.project_id,
        key=run.idempotency_key,
        work_branch=run.work_branch,
        person_id=run.charged_to,
        moment=charged_after or run.created_at,
        most=most,
    )
    with unreadable_named(run.project_id):
        if known is None:
            return _read(session, asked)[1]
        if (counts := known.counts(asked)) is not None:
            rows = [_row(one, _of_key_and_branch(), asked) for one in every(session)]
            return _guards(known.projects[run.project_id], [(*row, 0, 0) for row in rows], counts)
        asked = replace(asked, moment=asked.moment - SLACK)
        project, found = _read(session, asked)
    if project is not None:
        known.learn(asked, project, found)
    return found


def note_added(session: Session, run: Run) -> None:
    """Count a run that a transaction has added, for the guards of the next one in it."""
    known: _Known | None = session.info.get(_KNOWN)
    if known is None:
        return
    if run.charged_to in known.charged:
        after, charged = known.charged[run.charged_to]
        known.charged[run.charged_to] = after, charged + 1
    if is_active(run) and run.project_id in known.active:
        most, active = known.active[run.project_id]
        known.active[run.project_id] = most, active + 1


def _read(session: Session, asked: _Asked) -> tuple[Sequence[Any] | None, Guards]:
    stores = every(session)
    if len(stores) == 1:
        both = _row(session, _of_both(), asked)
        project, rows = (both[:6], [both[6:]]) if both else (None, [])
    else:
        project = _row(control_of(session), _of_project(), asked)
        rows = [_row(one, _of_runs(), asked) for one in stores]
    if project is not None:
        expect_append(control_of(session), project[5])
    return project, _guards(project, rows)


def _guards(
    project: Sequence[Any] | None, rows: Sequence[Sequence[Any]], counts: tuple[int, int] = (0, 0)
) -> Guards:
    return Guards(
        project=ProjectFacts(*project[:4]) if project else None,
        new_runs=project[4] if project else None,
        is_key_known=any(row[0] is not None for row in rows),
        is_branch_taken=any(row[1] is not None for row in rows),
        charged=counts[0] + sum(row[2] for row in rows),
        active=counts[1] + sum(row[3] for row in rows),
    )


def _row(session: Session, query: Select[*tuple[Any, ...]], asked: _Asked) -> Any:
    return session.connection().execute(query, vars(asked)).one_or_none()


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


@cache
def _of_key_and_branch() -> Select[*tuple[Any, ...]]:
    return select(*_run_columns()[:2])


def _where_project(query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    return query.where(col(Project.id) == bindparam("project_id", type_=String))


def _project_columns() -> tuple[ColumnElement[Any], ...]:
    new_runs = select(col(Setting.value)).where(col(Setting.name) == NEW_RUNS).scalar_subquery()
    columns = SQLModel.metadata.tables["project"].c
    last = last_hash().scalar_subquery()
    return (*(columns[field.name] for field in fields(ProjectFacts)), new_runs, last)


def _run_columns() -> tuple[ColumnElement[Any], ...]:
    of_project = col(Run.project_id) == bindparam("project_id", type_=String)
    is_open = col(Run.released_at).is_(None)
    return (
        _first_id(of_project, col(Run.idempotency_key) == bindparam("key", type_=String)),
        _first_id(of_project, col(Run.work_branch) == bindparam("work_branch"), is_open),
        _count(
            col(Run.charged_to) == bindparam("person_id", type_=String),
            col(Run.created_at) > bindparam("moment"),
        ),
        # apart, so that each follows its index
        _count_some(of_project, BEGUN) + _count_some(of_project, ASKED_FOR_NOW),
    )


def _first_id(*conditions: ColumnElement[bool]) -> ScalarSelect[str]:
    return select(col(Run.id)).where(*conditions).limit(1).scalar_subquery()


def _count_some(*conditions: ColumnElement[bool] | TextClause) -> ScalarSelect[int]:
    # no column but those of the index, or SQLite reads every row
    one = literal_column("1", type_=Integer).label("one")
    some = select(one).select_from(Run).where(*conditions)
    some = some.limit(bindparam("most", type_=Integer)).subquery()
    return select(func.count(type_=Integer)).select_from(some).scalar_subquery()


def _count(*conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    count = func.count(type_=Integer)
    return select(count).select_from(Run).where(*conditions).scalar_subquery()
