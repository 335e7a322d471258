"""Totals of the runs that ended since a moment, by project."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlmodel import col
from sqlmodel.sql.expression import Select

from app.domain.statistics import NAMES, NOTHING, Figures, figures_of
from app.domain.words import Status
from app.records.stores.routing import Stores
from app.records.tables import ProjectDay, Run

_COLUMNS = (
    *(col(Run.project_id), col(Run.status), col(Run.started_at), col(Run.ended_at)),
    *(col(Run.input_tokens), col(Run.output_tokens), col(Run.cost_usd)),
)


def figures_since(stores: Stores, since: datetime, until: datetime) -> dict[str, Figures]:
    """Sum up the runs that ended from `since` until before `until` (both UTC), by project id.

    Reads rows of runs for the first day only; later days have their totals.
    """
    first_day = since.astimezone(UTC).date()
    midnight = datetime.combine(first_day + timedelta(days=1), time(), UTC)
    found: dict[str, Figures] = defaultdict(lambda: NOTHING)
    for project_id, figures in _of_rows(stores, since, min(midnight, until)):
        found[project_id] += figures
    if midnight < until:
        for project_id, figures in _of_days(stores, first_day + timedelta(days=1)):
            found[project_id] += figures
    return dict(found)


def _of_rows(stores: Stores, since: datetime, until: datetime) -> list[tuple[str, Figures]]:
    query = Select[*tuple[Any, ...]](*_COLUMNS)
    query = query.where(col(Run.ended_at) >= since, col(Run.ended_at) < until)
    found: list[tuple[str, Figures]] = []
    for project_id, status, started_at, ended_at, *usage in stores.everywhere(query):
        worked = ended_at - started_at if started_at is not None else None
        found.append((project_id, figures_of(Status(status), worked, *usage)))
    return found


def _of_days(stores: Stores, first: date) -> list[tuple[str, Figures]]:
    query = Select[*tuple[Any, ...]](
        col(ProjectDay.project_id), *(col(getattr(ProjectDay, name)) for name in NAMES)
    ).where(col(ProjectDay.day) >= first)
    return [(row[0], Figures(*row[1:])) for row in stores.everywhere(query)]
