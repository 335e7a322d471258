"""The runs that cards tell of: of many projects by one statement, never from history.

Those that wait may be thousands: of them it is told what is alike, and none is read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Select,
    func,
    literal_column,
    select,
    union_all,
)
from sqlmodel import col

from app.domain.lifecycle import WAITING
from app.records.routing import Stores
from app.records.run_statements import BEGUN
from app.records.tables import Run

# as many walks in one statement; SQLite takes 500
TOGETHER = 100
_WAITING = [str(status) for status in WAITING]


@dataclass(frozen=True)
class Waiting:
    """What is alike of some runs that wait: who works on them, and what holds them."""

    agent: str
    hold: str | None


class ProjectRuns:
    """The newest runs, the counted failures and the open runs of each project."""

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

    def begun(self, project_ids: Collection[str]) -> dict[str, list[Run]]:
        """Open runs that have left the queue, oldest first."""
        query = select(Run).where(BEGUN, col(Run.project_id).in_(project_ids))
        runs = [row[0] for row in self._stores.everywhere(query)]
        found: dict[str, list[Run]] = {one: [] for one in project_ids}
        for run in sorted(runs, key=lambda run: (run.created_at, run.id)):
            found[run.project_id].append(run)
        return found

    def waiting(self, project_ids: Collection[str]) -> dict[str, list[Waiting]]:
        """What waits, each as its oldest run, oldest first."""
        alike = (col(Run.project_id), col(Run.agent), col(Run.hold))
        oldest = func.min(col(Run.created_at)), func.min(col(Run.id))
        query = select(*alike, *oldest).group_by(*alike)
        rows = self._stores.everywhere(
            query.where(*_open(project_ids), col(Run.status).in_(_WAITING))
        )
        found: dict[str, list[Waiting]] = {one: [] for one in project_ids}
        for project_id, agent, hold, _, _ in sorted(rows, key=lambda row: (row[3], row[4])):
            found[project_id].append(Waiting(agent, hold))
        return found

    def issues(self, project_ids: Collection[str]) -> dict[str, set[int]]:
        """The issues that open runs work on."""
        query = select(col(Run.project_id), col(Run.issue)).distinct()
        found: dict[str, set[int]] = defaultdict(set)
        has_issue = col(Run.issue).is_not(None)
        for project_id, number in self._stores.everywhere(
            query.where(*_open(project_ids), has_issue)
        ):
            found[project_id].add(number)
        return found

    def _led_to(self, walks: Iterable[Select[Any]]) -> list[Run]:
        ways = [select(walk.subquery().c.id) for walk in walks]
        found: list[Run] = []
        for begin in range(0, len(ways), TOGETHER):
            ids: CompoundSelect[Any] = union_all(*ways[begin : begin + TOGETHER])
            query = select(Run).where(col(Run.id).in_(ids))
            found += [run for (run,) in self._stores.everywhere(query)]
        return found


def _open(project_ids: Collection[str]) -> tuple[ColumnElement[bool], ...]:
    return col(Run.released_at).is_(None), col(Run.project_id).in_(project_ids)


def _first(runs: Iterable[Run], wanted: Mapping[str, int]) -> dict[str, list[Run]]:
    first: dict[str, list[Run]] = {project_id: [] for project_id in wanted}
    for run in runs:
        if len(first[run.project_id]) < wanted[run.project_id]:
            first[run.project_id].append(run)
    return first
