"""The facts that an order is checked with, before its transaction: one statement per store.

The transaction reads again what may refuse the run: see accept_guards.py.
"""

# stands alone: the reading side of an accept, as accept_guards.py is its transaction's

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, String, bindparam, exists, null, select
from sqlmodel import SQLModel

from app.records.people.reach import REACH, can_see
from app.records.projects.project_reading import ProjectUnreadable, unreadable_named
from app.records.runs.run_statements import id_by_key
from app.records.stores.routing import Stores
from app.records.tables import Project
from app.records.tables.drafts import drafted

_COLUMNS = tuple(Project.model_fields)


@dataclass(frozen=True)
class OrderFacts:
    """The project of an order, and what is known of its key and of accounts at their limits.

    `may_have_key` is False if the idempotency key is certainly new, `is_any_held` if certainly no
    account is at its limit. `unreadable` replaces a project of which a value cannot be read.
    """

    project: Project | None
    may_have_key: bool
    is_any_held: bool
    unreadable: ProjectUnreadable | None = None


def read_order_facts(stores: Stores, project_id: str, key: str | None) -> OrderFacts:
    """Read the facts of an order. Raises DatabaseSilent."""
    if REACH.get() is not None and not can_see(project_id):
        return OrderFacts(None, True, True)
    asked = {"project_id": project_id, "key": key}
    is_one = stores.runs is None
    try:
        with unreadable_named(project_id):
            row = stores.control.glance(_of_control(is_one), asked)
    except ProjectUnreadable as problem:
        return OrderFacts(None, True, True, problem)
    if row is None:
        # no such project, but its runs and their keys stay
        return OrderFacts(None, True, True)
    *columns, is_any_held, run_id = row
    if not is_one and key is not None:
        found = (one.glance(id_by_key(), asked) for one in stores.holding_runs())
        run_id = next((one for one in found if one is not None), None)
    project = drafted(Project, dict(zip(_COLUMNS, columns, strict=True)))
    return OrderFacts(project, run_id is not None, bool(is_any_held))


@cache
def _of_control(is_one: bool) -> Select[*tuple[Any, ...]]:
    tables = SQLModel.metadata.tables
    project = tables["project"].c
    held = exists(select(tables["account_hold"].c.agent))
    run_id: ColumnElement[Any] = id_by_key().scalar_subquery() if is_one else null()
    query = select(*(project[name] for name in _COLUMNS), held, run_id)
    return query.where(project.id == bindparam("project_id", type_=String))
