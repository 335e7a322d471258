"""The queue of single runs: reads those that may start next, and writes why the others wait."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

import sqlalchemy
from sqlalchemy import ColumnElement, CompoundSelect, and_, or_, union_all, update
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from app.domain.words import Status, Trigger
from app.records.database.database import Database
from app.records.feed import ProjectChanged, RunChanged
from app.records.runs.run_statements import DELAYED, EXPIRING, IN_LINE
from app.records.stores.routing import Stores
from app.records.tables import Run

# rows per transaction, so that requests of people get the write lock in between
TOGETHER = 500
# ranges per statement; SQLite allows 500
MOST_RANGES = 100
# parameters per statement, at most that of one range more; SQLite allows 32,766
MOST_PARAMETERS = 10_000


class Kind(NamedTuple):
    """Runs that share an account and its limit; resumed ones go before the others."""

    agent: str
    model: str | None
    is_resume: bool


class Queued(NamedTuple):
    """A queued run, as far as its hold depends on it."""

    id: str
    project_id: str
    agent: str
    model: str | None
    trigger: str
    due_at: datetime | None
    hold: str | None


def kind_of(run: Run | Queued) -> Kind:
    """Return the kind of a run."""
    return Kind(run.agent, run.model, run.trigger == Trigger.RESUME)


@dataclass
class Holds:
    """Why runs wait, as one look at the queue finds it.

    `every` holds all runs, `projects` those of a project, `planned` those of a project that had a
    start time, `kinds` those of a kind, but none of `probes`, which go first on their account.
    `runs` holds single ones, None if they were tried in vain. `every` replaces none of the others,
    and no hold of an earlier look that is `still_true`.
    """

    every: str | None = None
    projects: dict[str, str] = field(default_factory=dict[str, str])
    planned: dict[str, str] = field(default_factory=dict[str, str])
    kinds: dict[Kind, str] = field(default_factory=dict[Kind, str])
    probes: set[str] = field(default_factory=set[str])
    runs: dict[str, str | None] = field(default_factory=dict[str, str | None])
    still_true: set[str] = field(default_factory=set[str])

    def of(self, run: Run | Queued) -> str | None:
        """Return why a run waits, None if nothing is known to hold it."""
        if run.id in self.runs:
            return self.runs[run.id]
        planned = self.planned.get(run.project_id) if run.due_at is not None else None
        kind = None if run.id in self.probes else self.kinds.get(kind_of(run))
        still = run.hold if run.hold in self.still_true else None
        return (
            self.projects.get(run.project_id)
            or planned
            or kind
            or (self.every and (still or self.every))
        )

    def covers(self, run: Run) -> bool:
        """Return True if a run need not be tried."""
        return run.id in self.runs or self.of(run) is not None


class WaitingQueue:
    """The queued and delayed runs of both stores, except batch items where it does not say so."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def due(self, now: datetime) -> list[tuple[str, str]]:
        """Return the ids and projects of the delayed runs that are due, the first due first."""
        query = select(Run.id, Run.project_id).where(
            DELAYED, col(Run.due_at) <= now, col(Run.batch_id).is_(None)
        )
        return self._stores.everywhere(query.order_by(col(Run.due_at), col(Run.id)))

    def overdue(self, now: datetime) -> list[Run]:
        """Return the queued runs that have expired, batch items included, oldest first."""
        return self._ordered(select(Run).where(EXPIRING, col(Run.expires_at) <= now))

    def of_project(self, project_id: str) -> list[Run]:
        """Return the queued runs of a project, oldest first."""
        return self._ordered(select(Run).where(IN_LINE, col(Run.project_id) == project_id))

    def first(
        self, holds: Holds, at_most: int, behind: Mapping[Database, Run] | None = None
    ) -> list[Run]:
        """Return the first queued runs in their order, in each store behind a run.

        Passes over those that `holds` covers, except single ones.
        """
        behind = behind or {}
        order = (col(Run.created_at), col(Run.id))
        found: list[Run] = []
        for database in self._stores.holding_runs():
            free = _not_covered(holds, lambda one, own=database: self._stores.owner_of(one) is own)
            # found by the index alone, also where many are passed over
            ids = select(Run.id).where(IN_LINE, *_behind(behind.get(database)), *free)
            ids = ids.order_by(*order).limit(at_most)
            with database.reading() as session:
                found += session.exec(select(Run).where(col(Run.id).in_(ids)))
        return _in_order(found)[:at_most]

    def write_holds(self, holds: Holds) -> int:
        """Write why runs wait, where their rows say something else; return how many changed.

        Costs what changes, not what waits.
        """
        return sum(self._write(database, holds) for database in self._stores.holding_runs())

    def _write(self, database: Database, holds: Holds) -> int:
        wrong: dict[str, list[str]] = defaultdict(list)
        with database.reading() as session:
            for query in _unlike(holds):
                for row in session.connection().execute(query):
                    run = Queued(*row)
                    hold = holds.of(run)
                    if hold is not None and hold != run.hold:
                        wrong[hold].append(run.id)
        return sum(
            _write_some(database, hold, ids[begin : begin + TOGETHER])
            for hold, ids in wrong.items()
            for begin in range(0, len(ids), TOGETHER)
        )

    def _ordered(self, query: SelectOfScalar[Run]) -> list[Run]:
        return _in_order(self._stores.everywhere(query))


def _in_order(runs: list[Run]) -> list[Run]:
    return sorted(runs, key=lambda run: (run.created_at, run.id))


def _write_some(database: Database, hold: str, ids: list[str]) -> int:
    still = (col(Run.status) == Status.QUEUED, col(Run.released_at).is_(None))
    query = update(Run).where(col(Run.id).in_(ids), *still).values(hold=hold)
    query = query.execution_options(synchronize_session=False)
    with database.transaction() as tx:
        changed = tx.connection().execute(query.returning(col(Run.id), col(Run.project_id))).all()
        tx.publish(*(RunChanged(run_id, project_id) for run_id, project_id in changed))
        tx.publish(*(ProjectChanged(one) for one in sorted({row[1] for row in changed})))
    return len(changed)


def _behind(run: Run | None) -> Iterator[ColumnElement[bool]]:
    if run is not None:
        # apart, so that the index begins there
        yield col(Run.created_at) >= run.created_at
        yield or_(col(Run.created_at) > run.created_at, col(Run.id) > run.id)


def _not_covered(holds: Holds, is_own: Callable[[str], bool]) -> Iterator[ColumnElement[bool]]:
    if holds.projects:
        yield col(Run.project_id).not_in(holds.projects)
    if holds.planned:
        yield or_(col(Run.due_at).is_(None), col(Run.project_id).not_in(holds.planned))
    for agent, model, is_resume in holds.kinds:
        is_other = col(Run.trigger) != Trigger.RESUME if is_resume else _is_resume()
        is_another = col(Run.model).is_distinct_from(model)
        is_probe = col(Run.id).in_(list(filter(is_own, holds.probes)))
        yield or_(col(Run.agent) != agent, is_another, is_other, is_probe)


def _is_resume() -> ColumnElement[bool]:
    return col(Run.trigger) == Trigger.RESUME


def _unlike(holds: Holds) -> Iterator[CompoundSelect[*tuple[Any, ...]]]:
    """Yield the statements that find queued runs with another hold than theirs.

    They may find some more. Each condition is a range of the index of holds.
    """
    of_all = {*([holds.every] if holds.every else ()), *holds.planned.values()}
    of_all |= {*holds.kinds.values(), *filter(None, holds.runs.values())}
    of_all |= holds.still_true if holds.every else set()
    of_projects: dict[str, list[str]] = defaultdict(list)
    for project_id, text in holds.projects.items():
        of_projects[text].append(project_id)
    if not of_all and not of_projects:
        return
    columns = [col(getattr(Run, name)) for name in Queued._fields]
    found: list[sqlalchemy.Select[*tuple[Any, ...]]] = []
    parameters = 0
    for count, one in _ranges(of_all, of_projects):
        if found and (len(found) == MOST_RANGES or parameters + count > MOST_PARAMETERS):
            yield union_all(*found)
            found, parameters = [], 0
        found.append(sqlalchemy.select(*columns).where(IN_LINE, one))
        parameters += count
    yield union_all(*found)


def _ranges(
    of_all: set[str], of_projects: dict[str, list[str]]
) -> Iterator[tuple[int, ColumnElement[bool]]]:
    """Yield the ranges of holds in which a run may have another one, each with its parameters."""
    hold, project_id = col(Run.hold), col(Run.project_id)
    yield 0, hold.is_(None)
    for one in _between(sorted({*of_all, *of_projects})):
        yield 2, one
    for text, theirs in of_projects.items():
        if text not in of_all:
            yield 1 + len(theirs), and_(hold == text, project_id.not_in(theirs))
    held = [one for theirs in of_projects.values() for one in theirs]
    for begin in range(0, len(held), MOST_PARAMETERS):
        some = held[begin : begin + MOST_PARAMETERS]
        for text in of_all:
            yield 1 + len(some), and_(hold == text, project_id.in_(some))


def _between(texts: list[str]) -> Iterator[ColumnElement[bool]]:
    # whatever the order of the database is, together they leave out nothing but these texts
    hold = col(Run.hold)
    yield hold < texts[0]
    yield from (and_(hold > one, hold < other) for one, other in pairwise(texts))
    yield hold > texts[-1]
