"""The runs that cards tell of: of many projects by one statement, never from history."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import CompoundSelect, Select, literal_column, select, union_all
from sqlmodel import col

from app.records.routing import Stores
from app.records.tables import Run

# as many walks in one statement; SQLite takes 500
TOGETHER = 100


class ProjectRuns:
    """The newest runs and the counted failures of each project."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def newest(self, project_ids: Collection[str], *, limit: int) -> dict[str, list[Run]]:
        """At most `limit` runs of each project, newest first."""
        order = col(Run.created_at).desc(), col(Run.id).desc()
        walk = select(col(Run.id)).order_by(*order).limit(limit)
        found = self._led_to(walk.where(col(Run.project_id) == one) for one in project_ids)
        found.sort(key=lambda run: (run.created_at, run.id), reverse=True)
        return _first(found, dict.fromkeys(project_ids, limit))

    def strikes(self, wanted: Mapping[str, int]) -> dict[str, list[Run]]:
        """Of each project as many of the runs that were counted as failures, newest first."""
        order = col(Run.ended_at).desc(), col(Run.id).desc()
        # in the words of its index, which SQLite uses for these alone
        walk = select(col(Run.id)).where(literal_column("runs.is_strike")).order_by(*order)
        found = self._led_to(
            walk.where(col(Run.project_id) == one).limit(limit) for one, limit in wanted.items()
        )
        found.sort(key=lambda run: (run.ended_at, run.id), reverse=True)
        return _first(found, wanted)

    def _led_to(self, walks: Iterable[Select[Any]]) -> list[Run]:
        ways = [select(walk.subquery().c.id) for walk in walks]
        found: list[Run] = []
        for begin in range(0, len(ways), TOGETHER):
            ids: CompoundSelect[Any] = union_all(*ways[begin : begin + TOGETHER])
            for database in self._stores.holding_runs():
                with database.reading() as session:
                    found += session.scalars(select(Run).where(col(Run.id).in_(ids))).all()
        return found


def _first(runs: Iterable[Run], wanted: Mapping[str, int]) -> dict[str, list[Run]]:
    first: dict[str, list[Run]] = {project_id: [] for project_id in wanted}
    for run in runs:
        if len(first[run.project_id]) < wanted[run.project_id]:
            first[run.project_id].append(run)
    return first
