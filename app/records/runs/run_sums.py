"""Runs by cost, and what the runs that match a filter come to: bounded, however many there are."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, func, literal_column, select

from app.domain.ids import is_run_id
from app.domain.words import Cause, Status
from app.records.database.cursors import Amount, page_by_amount, read_amount
from app.records.database.database import Database
from app.records.runs.run_pages import (
    LISTED,
    LOOKED_THROUGH,
    RUNS,
    Columns,
    ListedRun,
    Page,
    RunFilter,
    Way,
    names_run,
    newest_ids,
    seen,
    sees_most,
    ways_to,
)
from app.records.runs.run_statements import cost_sum, dollars_of
from app.records.runs.selections import EndedAlike
from app.records.stores.routing import Stores

# exactly as in their partial indexes, or SQLite does not use them
HAS_COST: ColumnElement[bool] = literal_column("runs.cost_usd IS NOT NULL")
COST = RUNS.c.cost_usd
Kind = tuple[str, str | None]


def list_by_cost(stores: Stores, wanted: RunFilter, *, limit: int, cursor: str | None) -> Page:
    """Return one page of runs whose cost is known, dearest first. Raises BadCursor."""
    place = read_amount(cursor, is_run_id)
    found: list[tuple[float, str, ListedRun]] = []
    is_cut = False
    databases, ways = _ways(stores, wanted)
    for database in databases if ways else ():
        query, is_cut_here = _of_costs(database, ways, wanted)
        with database.reading() as session:
            rows = session.connection().execute(_from(place, query).limit(limit + 1)).all()
        found += [(row.cost_usd or 0.0, row.id, row) for row in cast(list[ListedRun], rows)]
        is_cut = is_cut or is_cut_here
    return Page(*page_by_amount(place, found, limit), LOOKED_THROUGH if is_cut else None)


def totals(stores: Stores, wanted: RunFilter) -> tuple[list[EndedAlike], int | None]:
    """Sum up the matching runs; the second is their bound if older ones are left out."""
    counts: dict[Kind, int] = defaultdict(int)
    micros: dict[Kind, int] = defaultdict(int)
    is_cut = False
    databases, ways = _ways(stores, wanted)
    columns = RUNS.c.status, RUNS.c.cause
    query = select(*columns, func.count(), cost_sum()).group_by(*columns)
    for database in databases if ways else ():
        ids, is_cut_here = newest_ids(database, ways)
        with database.reading() as session:
            rows = session.connection().execute(query.where(RUNS.c.id.in_(ids))).all()
        for status, cause, count, cost in cast(list[tuple[str, str | None, int, int | None]], rows):
            counts[status, cause] += count
            if cost is not None:
                micros[status, cause] += int(cost)
        is_cut = is_cut or is_cut_here
    alike = [
        EndedAlike(
            Status(kind[0]),
            Cause(kind[1]) if kind[1] else None,
            count,
            dollars_of(micros.get(kind)),
        )
        for kind, count in sorted(counts.items(), key=str)
    ]
    return alike, LOOKED_THROUGH if is_cut else None


def _ways(stores: Stores, wanted: RunFilter) -> tuple[list[Database], list[Way]]:
    of_batch = [stores.owner_of(wanted.batch_id)] if wanted.batch_id else None
    databases = of_batch or stores.holding_runs()
    return databases, ways_to(wanted, is_named=names_run(databases, wanted))


def _of_costs(
    database: Database, ways: list[Way], wanted: RunFilter
) -> tuple[Select[*tuple[Any, ...]], bool]:
    """Return the matching runs with a cost: from the index of costs, or of the newest ones."""
    if wanted == RunFilter(project_id=wanted.project_id):
        of_project = [RUNS.c.project_id == wanted.project_id] if wanted.project_id else []
        with database.reading() as session:
            is_mostly_seen = not wanted.project_id and sees_most(session)
        listed = LISTED.where(HAS_COST, *of_project)
        return seen(listed, is_mostly_seen=is_mostly_seen), False
    ids, is_cut = newest_ids(database, ways)
    # no plain column: an index of all costs could be walked for few matching runs
    return LISTED.where(func.coalesce(COST, -1) >= 0, RUNS.c.id.in_(ids)), is_cut


def _from(place: Amount | None, query: Select[*Columns]) -> Select[*Columns]:
    if place is not None:
        query = query.where(place.is_beyond(COST, RUNS.c.id))
    if place is None or place.forwards:
        return query.order_by(COST.desc(), RUNS.c.id.desc())
    return query.order_by(COST.asc(), RUNS.c.id.asc())
