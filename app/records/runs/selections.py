"""Queries for runs: those on project cards, open ones, ended ones, and equals of a run.

Project cards take one statement for many projects, without history. Thousands of runs may wait:
of those, only what is shown is read, from its index.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy
from sqlalchemy import bindparam, func, literal_column, union_all
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import Select, SelectOfScalar

from app.domain.lifecycle import WAITING
from app.domain.words import Cause, Status
from app.records.runs import run_statements
from app.records.runs.run_statements import BEGUN, QUEUED, cost_sum, dollars_of
from app.records.stores.routing import Stores
from app.records.stores.sessions import every
from app.records.tables import Project, Run

# index scans per statement; SQLite allows 500
TOGETHER = 100
# with more pairs of a project and a branch or issue to look up, all open runs are read instead
FEW = 500


class ProjectRuns:
    """The newest, striking and open runs of each project, read through `session` if given."""

    def __init__(self, stores: Stores, session: Session | None = None) -> None:
        self._stores = stores
        self._session = session

    def newest(self, project_ids: Collection[str], *, limit: int) -> dict[str, list[Run]]:
        """Return at most `limit` runs of each project, newest first."""
        order = col(Run.created_at).desc(), col(Run.id).desc()
        walk = select(col(Run.id)).order_by(*order).limit(limit)
        found = self._led_to(walk.where(col(Run.project_id) == one) for one in project_ids)
        found.sort(key=lambda run: (run.created_at, run.id), reverse=True)
        return _first(found, dict.fromkeys(project_ids, limit))

    def strikes(self, wanted: Mapping[str, int]) -> dict[str, list[Run]]:
        """Return each project's newest runs that were strikes, as many as `wanted` says."""
        order = col(Run.ended_at).desc(), col(Run.id).desc()
        # exactly as in its partial index, or SQLite does not use it
        walk = select(col(Run.id)).where(literal_column("runs.is_strike")).order_by(*order)
        found = self._led_to(
            walk.where(col(Run.project_id) == one).limit(limit) for one, limit in wanted.items()
        )
        found.sort(key=lambda run: (run.ended_at, run.id), reverse=True)
        return _first(found, wanted)

    def begun(self, project_ids: Collection[str]) -> dict[str, list[Run]]:
        """Return open runs that have left the queue, by project, oldest first."""
        query = select(Run).where(BEGUN, col(Run.project_id).in_(project_ids))
        runs = self._stores.everywhere(query, self._session)
        found: dict[str, list[Run]] = {one: [] for one in project_ids}
        for run in sorted(runs, key=lambda run: (run.created_at, run.id)):
            found[run.project_id].append(run)
        return found

    def first_holds(self, project_ids: Collection[str]) -> dict[str, str]:
        """Return the hold of each project's oldest waiting run with one, by project."""
        columns = col(Run.project_id), col(Run.hold), col(Run.created_at), col(Run.id)
        walk = Select[str, str, datetime, str](*columns)
        walk = walk.where(QUEUED, col(Run.hold).is_not(None)).limit(1)
        walk = walk.order_by(col(Run.created_at), col(Run.id))
        rows = self._each(walk.where(col(Run.project_id) == one) for one in project_ids)
        rows.sort(key=lambda row: (row[2], row[3]), reverse=True)
        return {row[0]: row[1] for row in rows}

    def waiting_agents(
        self, project_ids: Collection[str], agents: Collection[str]
    ) -> dict[str, set[str]]:
        """Return those of these agents that waiting runs are for, by project."""
        walk = Select[str, str](col(Run.project_id), col(Run.agent)).where(QUEUED).limit(1)
        rows = self._each(
            walk.where(col(Run.project_id) == one, col(Run.agent) == agent)
            for one in project_ids
            for agent in agents
        )
        found: dict[str, set[str]] = {one: set() for one in project_ids}
        for project_id, agent in rows:
            found[project_id].add(agent)
        return found

    def issues(self, asked: Mapping[str, Collection[int]]) -> dict[str, set[int]]:
        """Return the issues that open runs work on, by project; perhaps more than those asked."""
        ids = [one for one, numbers in asked.items() if numbers]
        numbers = {number for one in ids for number in asked[one]}
        found: dict[str, set[int]] = defaultdict(set)
        if not numbers:
            return found
        query = select(Run.project_id, Run.issue).distinct()
        is_open = col(Run.released_at).is_(None), col(Run.issue).is_not(None)
        query = query.where(*is_open, col(Run.project_id).in_(ids))
        if are_few(ids, numbers):
            query = query.where(col(Run.issue).in_(numbers))
        for project_id, number in self._stores.everywhere(query, self._session):
            if number is not None:
                found[project_id].add(number)
        return found

    def _led_to(self, walks: Iterable[SelectOfScalar[str]]) -> list[Run]:
        ways = [sqlalchemy.select(walk.subquery().c.id) for walk in walks]
        found: list[Run] = []
        for begin in range(0, len(ways), TOGETHER):
            ids = union_all(*ways[begin : begin + TOGETHER])
            query = select(Run).where(col(Run.id).in_(ids))
            found += self._stores.everywhere(query, self._session)
        return found

    def _each(self, walks: Iterable[Select[*tuple[Any, ...]]]) -> list[Any]:
        ways = [sqlalchemy.select(*walk.subquery().c) for walk in walks]
        found: list[Any] = []
        for begin in range(0, len(ways), TOGETHER):
            rows = union_all(*ways[begin : begin + TOGETHER]).subquery()
            found += self._stores.everywhere(Select[*tuple[Any, ...]](*rows.c), self._session)
        return found


def are_few(project_ids: Collection[str], them: Collection[object]) -> bool:
    """Return True if it is faster to look up each of them in each project than to read all."""
    return len(project_ids) * len(them) <= FEW


def _first(runs: Iterable[Run], wanted: Mapping[str, int]) -> dict[str, list[Run]]:
    first: dict[str, list[Run]] = {project_id: [] for project_id in wanted}
    for run in runs:
        if len(first[run.project_id]) < wanted[run.project_id]:
            first[run.project_id].append(run)
    return first


@dataclass(frozen=True)
class EndedAlike:
    """The number of runs with one status and cause, and their cost in US dollars if known."""

    status: Status
    cause: Cause | None
    count: int
    cost_usd: float | None


def ended_of_batch(session: Session, batch_id: str) -> list[EndedAlike]:
    """Sum up an ended batch's runs by status and cause."""
    return _alike(session.exec(_sums().where(col(Run.batch_id) == batch_id)))


def last_of_batch(session: Session, batch_id: str, *, limit: int) -> list[Run]:
    """Return the runs of a batch that ended last, latest first."""
    query = select(Run).where(col(Run.batch_id) == batch_id)
    return list(session.exec(query.order_by(col(Run.ended_at).desc()).limit(limit)).all())


class EndedRuns:
    """Reads ended runs of both stores."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def sums(self, begin: datetime, end: datetime) -> list[EndedAlike]:
        """Sum up the runs that ended from `begin` until before `end`, by status and cause."""
        query = _sums().where(col(Run.ended_at) >= begin, col(Run.ended_at) < end)
        return _alike(self._stores.everywhere(query))

    def newest(self, begin: datetime, end: datetime, *, limit: int) -> list[Run]:
        """Return the runs that ended last in that time, latest first."""
        query = select(Run).where(col(Run.ended_at) >= begin, col(Run.ended_at) < end)
        found = self._stores.everywhere(query.order_by(col(Run.ended_at).desc()).limit(limit))
        return sorted(found, key=lambda run: (run.ended_at, run.id), reverse=True)[:limit]

    def count_held(self) -> int:
        """Count the waiting runs that have a hold."""
        query = select(func.count()).where(
            col(Run.released_at).is_(None),
            col(Run.status).in_(WAITING),
            col(Run.hold).is_not(None),
        )
        return sum(self._stores.everywhere(query))


def _sums() -> Select[str, str | None, int, int]:
    query = select(col(Run.status), col(Run.cause), func.count(), cost_sum())
    return query.group_by(col(Run.status), col(Run.cause))


def _alike(rows: Iterable[tuple[str, str | None, int, int]]) -> list[EndedAlike]:
    return [
        EndedAlike(Status(status), Cause(cause) if cause else None, count, dollars_of(cost))
        for status, cause, count, cost in rows
    ]


class OpenRuns:
    """Counts of open runs, and those being launched."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    def counts(self) -> Counter[str]:
        """Count open runs by status."""
        query = select(Run.status, func.count()).where(col(Run.released_at).is_(None))
        found: Counter[str] = Counter()
        for status, count in self.stores.everywhere(query.group_by(col(Run.status))):
            found[status] += count
        return found

    def active_by_project(self) -> dict[str, list[str]]:
        """Return, for every project, the ids of the runs that count for its concurrency limit."""
        with self.stores.control.reading() as session:
            found: dict[str, list[str]] = {one: [] for one in session.exec(select(Project.id))}
        for project_id, run_id in self.stores.everywhere(run_statements.active_ids()):
            found.setdefault(project_id, []).append(run_id)
        return found

    def starting(self) -> list[Run]:
        """Return the runs that are being launched, oldest first."""
        query = select(Run).where(
            col(Run.released_at).is_(None), col(Run.status) == Status.STARTING
        )
        return sorted(self.stores.everywhere(query), key=lambda run: (run.created_at, run.id))


SAME = ("agent", "pr_number", "branch_name", "task", "depth_level", "target_framework")
# exactly as in its index, or neither kind of database uses it
_BEGINNING = "coalesce(substr({}, 1, 60), '')"


def find_twin(session: Session, run: Run) -> Run | None:
    """Return an open run of the same project with the same work, or None; the model may differ."""
    asked = {name: getattr(run, name) for name in ("project_id", "issue", *SAME)}
    query = _twin(run.issue is not None)
    found = (twin for one in every(session) for twin in one.exec(query, params=asked))
    return next(found, None)


@cache
def _twin(has_issue: bool) -> SelectOfScalar[Run]:
    given = {name: bindparam(name, type_=getattr(Run, name).type) for name in SAME}
    same = [col(getattr(Run, name)).is_not_distinct_from(one) for name, one in given.items()]
    if has_issue:
        same.append(col(Run.issue) == bindparam("issue"))
    else:
        beginning = func.coalesce(func.substr(given["task"], 1, 60), "")
        same += [
            col(Run.issue).is_(None),
            literal_column(_BEGINNING.format("runs.task")) == beginning,
        ]
    query = select(Run).where(
        col(Run.project_id) == bindparam("project_id"), col(Run.released_at).is_(None)
    )
    return query.where(*same).limit(1)


def over_and_done(stores: Stores, ids: Collection[str]) -> dict[str, Run]:
    """Return, by id, the runs among these that are released and do not wait to be resumed."""
    query = select(Run).where(col(Run.released_at).is_not(None), col(Run.may_resume).is_(False))
    found: dict[str, Run] = {}
    for database, theirs in stores.by_owner(ids).items():
        with database.reading() as session:
            of_theirs = query.where(col(Run.id).in_(theirs))
            found |= {run.id: run for run in session.exec(of_theirs).all()}
    return found
