"""The reach of a request: rows of other organisations are left out of every query inside it.

Code outside a request, such as the sweep, sees everything. Queries that are not made of entities
must limit themselves with `project_ids`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, cast

from sqlalchemy import ColumnElement, event, inspect, or_, select
from sqlalchemy.orm import ORMExecuteState, with_loader_criteria
from sqlalchemy.orm.interfaces import ORMOption
from sqlmodel import Session, SQLModel, col

from app.records.tables import (
    Audit,
    Bulk,
    ChangeRequest,
    ForgeServer,
    Membership,
    Organisation,
    Person,
    Project,
)
from app.records.tables.people import DEFAULT_ORGANISATION


@dataclass(frozen=True)
class Reach:
    """The rows that a request can see: an organisation's; `projects` returns the ids of its own."""

    organisation_id: str
    projects: Callable[[], frozenset[str]]

    @property
    def is_default(self) -> bool:
        """True for the organisation of the first start, which also sees rows of no project."""
        return self.organisation_id == DEFAULT_ORGANISATION


REACH: ContextVar[Reach | None] = ContextVar("reach", default=None)
# option of a statement that sees every row, such as what a person is charged for in all projects
UNLIMITED = {"runyard_unlimited": True}


@contextmanager
def within(reach: Reach | None) -> Generator[None]:
    """Limit the queries inside to a reach; None lifts the limit, for what all requests share."""
    if reach is not None:
        begin_to_limit()
    mark = REACH.set(reach)
    try:
        yield
    finally:
        REACH.reset(mark)


def current_reach() -> Reach | None:
    """Return the reach of the current request, None if it sees everything."""
    return REACH.get()


def project_ids() -> frozenset[str] | None:
    """Return the ids of the projects that the current request can see, None for all."""
    reach = REACH.get()
    return None if reach is None else reach.projects()


def can_see(project_id: str | None) -> bool:
    """Return True if the current request can see this project; None is this server itself."""
    reach = REACH.get()
    if reach is None:
        return True
    return reach.is_default if project_id is None else project_id in reach.projects()


@cache
def begin_to_limit() -> None:
    """Make every session of this process heed reaches, from now on."""
    # not at import: with one organisation, no statement pays for this
    event.listen(Session, "do_orm_execute", limit)


def limit(asked: ORMExecuteState) -> None:
    """Leave the rows out of a statement that the current reach does not hold."""
    reach = REACH.get()
    if reach is None or asked.is_column_load or asked.is_relationship_load:
        return
    if asked.execution_options.keys() & UNLIMITED:
        return
    if asked.is_select or asked.is_update or asked.is_delete:
        limits = _limits(reach.organisation_id, reach.projects(), reach.is_default)
        asked.statement = asked.statement.options(*limits)


@cache
def _of_projects() -> list[tuple[type[ChangeRequest], bool]]:
    """Return the entities whose rows belong to a project, and if that may be missing."""
    found: list[tuple[type[ChangeRequest], bool]] = []
    registry: Any = inspect(ChangeRequest).registry
    for mapper in registry.mappers:
        its = mapper.columns.get("project_id")
        if its is not None:
            # all of them have the one column that is asked for
            found.append((cast(type[ChangeRequest], mapper.class_), bool(its.nullable)))
    return found


def _of_organisation(organisation_id: str, is_default: bool) -> ColumnElement[bool]:
    its = col(Audit.organisation) == organisation_id
    # what was written before there were others is of the first one
    return or_(its, col(Audit.organisation).is_(None)) if is_default else its


@lru_cache(maxsize=64)
def _limits(organisation_id: str, ids: frozenset[str], is_default: bool) -> tuple[ORMOption, ...]:
    projects = sorted(ids)
    found: list[ORMOption] = []
    for entity, is_optional in _of_projects():
        column = col(entity.project_id)
        rows = column.in_(projects)
        if is_optional and is_default:
            rows = or_(rows, column.is_(None))
        found.append(with_loader_criteria(entity, rows, include_aliases=True))
    people = select(col(Membership.person_id)).where(
        col(Membership.organisation_id) == organisation_id
    )
    limited: list[tuple[type[SQLModel], ColumnElement[bool]]] = [
        (Project, col(Project.id).in_(projects)),
        (ForgeServer, col(ForgeServer.organisation_id) == organisation_id),
        (Organisation, col(Organisation.id) == organisation_id),
        (Membership, col(Membership.organisation_id) == organisation_id),
        (Person, col(Person.id).in_(people)),
        (Bulk, col(Bulk.created_by).in_(people)),
        (Audit, _of_organisation(organisation_id, is_default)),
    ]
    found += [with_loader_criteria(one, rows, include_aliases=True) for one, rows in limited]
    return tuple(found)
