"""Pages of runs: keyset pagination over (created_at, id), newest first, in both directions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol, TypeVarTuple, cast

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    Table,
    func,
    or_,
    select,
    union_all,
)
from sqlmodel import Session

from app.domain.ids import is_run_id
from app.domain.lifecycle import DONE, LIVE, WAITING
from app.domain.words import Phase, Status
from app.records.database.cursors import (
    Listed,
    Place,
    is_beyond,
    order_from,
    page_from,
    read_cursor,
)
from app.records.database.database import Database
from app.records.people.reach import project_ids
from app.records.runs import search_texts
from app.records.runs.search_texts import Conditions
from app.records.stores.routing import Stores
from app.records.tables import Run
from app.records.tables.stores import holds_word

PHASES = {Phase.WAITING: WAITING, Phase.LIVE: LIVE, Phase.DONE: DONE}
RUNS: Table = Run.metadata.tables["runs"]
# long, or of no use in a list
_UNLISTED = frozenset({"task", "supervisor", "body_hash", "taken_at", "charged_to", "session_id"})
_NAMES = tuple(column.name for column in RUNS.c if column.name not in _UNLISTED)
LISTED = select(*(RUNS.c[name] for name in _NAMES))
# rows that a scan without a selective index examines at most, newest first
LOOKED_THROUGH = 20_000
# of so many runs, a request sees a good part if it sees one in eight
_LOOKED_AT, _GOOD_PART = 40, 8
SQLITE = "sqlite"
Columns = TypeVarTuple("Columns")
# creation time and id of the newest row that a scan leaves out
Edge = Row[datetime, str] | None


class ListedRun(Listed, Iterable[Any], Protocol):
    """A row of a list: a run without its task, and without what only the server needs."""

    project_id: str
    status: str
    cause: str | None
    because: str | None
    parked: bool
    is_strike: bool
    due_at: datetime | None
    expires_at: datetime | None
    ended_at: datetime | None
    cost_usd: float | None


def columns_of(run: ListedRun) -> dict[str, Any]:
    """Return the values of a listed run by the names of its columns."""
    return dict(zip(_NAMES, run, strict=True))


@dataclass(frozen=True)
class RunFilter:
    """The filter of a list of runs; an empty field matches any."""

    project_id: str | None = None
    statuses: Sequence[str] = ()
    phase: Phase | None = None
    trigger: str | None = None
    branch: str | None = None
    text: str | None = None
    batch_id: str | None = None
    # True to list only runs that have no retry
    is_last_try: bool = False
    issue: int | None = None
    depth: str | None = None
    framework: str | None = None
    agent: str | None = None
    tag: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True)
class Way:
    """An index scan: `led` selects the index range, `passing` is tested on each row of it.

    If `is_bounded`, the scan ends after the newest `LOOKED_THROUGH` rows. `is_mostly_seen` is as in
    `seen`.
    """

    led: Conditions
    passing: Conditions = field(default_factory=Conditions)
    is_bounded: bool = False
    is_mostly_seen: bool = False

    def edge(self) -> Select[Any, Any]:
        """Build the query for (created_at, id) of the newest row that the scan leaves out."""
        when, which = RUNS.c.created_at, RUNS.c.id
        query = self._seen(select(when, which).where(*self.led))
        query = query.order_by(when.desc(), which.desc())
        return query.offset(LOOKED_THROUGH).limit(1)

    def query(self, query: Select[*Columns], edge: Edge) -> Select[*Columns]:
        """Return a query of runs, limited to those of the scan up to its edge, if it has one."""
        found = self._seen(query.where(*self.led, *self.passing))
        if edge is None:
            return found
        place = Place(forwards=False, at=edge[0], id=edge[1])
        return found.where(is_beyond(place, RUNS.c.created_at, RUNS.c.id))

    def _seen(self, query: Select[*Columns]) -> Select[*Columns]:
        return seen(query, is_mostly_seen=self.is_mostly_seen)


def ways_to(wanted: RunFilter, *, is_named: bool = False) -> list[Way]:
    """Return the index scans that together find all matching runs; they may overlap.

    `is_named`: the text names a run, so that no title needs to be searched for it.
    """
    statuses = _statuses(wanted)
    if statuses is not None and not statuses:
        return []
    when, passing = _created(wanted), _passing(wanted, statuses)
    if text := search_texts.trimmed(wanted.text):
        led_to = search_texts.naming(text) if is_named else search_texts.leading_to(text)
        # runs that do not pass could be many
        named = [Way([*led, *when], passing, is_bounded=bool(passing)) for led in led_to]
        if is_named:
            return named
        of_project = [RUNS.c.project_id == wanted.project_id] if wanted.project_id else []
        resembling = [search_texts.resembles(text), *passing]
        return [Way([*of_project, *when], resembling, is_bounded=True), *named]
    if wanted.batch_id:
        return [Way([RUNS.c.batch_id == wanted.batch_id], [*when, *passing])]
    led_to = _led_to_all(wanted, statuses)
    if led_to is not None:
        return [Way([*led, *when], _of_last_tries(wanted)) for led in led_to]
    led_to = _led_to_some(wanted, statuses)
    return [Way([*led, *when], passing, is_bounded=True) for led in led_to]


def _statuses(wanted: RunFilter) -> list[str] | None:
    """Return the statuses that match, or None for any."""
    if wanted.phase is None:
        return list(dict.fromkeys(wanted.statuses)) or None
    of_phase = sorted(PHASES[wanted.phase])
    return [status for status in of_phase if not wanted.statuses or status in wanted.statuses]


def _created(wanted: RunFilter) -> Conditions:
    """Return the conditions on the creation time, common to all scans."""
    at = RUNS.c.created_at
    after = [at > wanted.created_after] if wanted.created_after else []
    return after + ([at < wanted.created_before] if wanted.created_before else [])


def _led_to_all(wanted: RunFilter, statuses: list[str] | None) -> list[Conditions] | None:
    """Return index ranges that contain exactly the matching runs, in order, or None."""
    others = (wanted.depth, wanted.framework, wanted.agent, wanted.tag)
    if any(other is not None for other in others):
        return None
    is_alone = not (wanted.project_id or statuses or wanted.trigger)
    if wanted.issue is not None:
        return [[RUNS.c.issue == wanted.issue]] if is_alone and not wanted.branch else None
    if not wanted.branch:
        return _led_to_filtered(wanted, statuses)
    if is_alone:
        return _of_branch(wanted.branch)
    if not wanted.project_id or wanted.trigger:
        return None
    of_project = RUNS.c.project_id == wanted.project_id
    # that index is sorted by status within a branch
    return [
        [of_project, *of_branch, RUNS.c.status == status]
        for of_branch in _of_branch(wanted.branch)
        for status in statuses or Status
    ]


def _led_to_some(wanted: RunFilter, statuses: list[str] | None) -> list[Conditions]:
    """Return index ranges that contain the matching runs, among others."""
    if wanted.issue is not None:
        return [[RUNS.c.issue == wanted.issue]]
    led_to = _led_to_filtered(wanted, statuses)
    if len(led_to) > 1:
        # a single scan that skips other statuses: several could each be as long
        led_to = [[RUNS.c.project_id == wanted.project_id] if wanted.project_id else []]
    if not wanted.branch:
        return led_to
    return _of_branch(wanted.branch) + [led for led in led_to if led]


def _of_branch(branch: str) -> list[Conditions]:
    return [[column == branch] for column in (RUNS.c.branch_name, RUNS.c.work_branch)]


def _led_to_filtered(wanted: RunFilter, statuses: list[str] | None) -> list[Conditions]:
    """Return index ranges for project, status and trigger that contain exactly their runs."""
    runs = RUNS.c
    found: Conditions = []
    if wanted.project_id:
        found.append(runs.project_id == wanted.project_id)
    if wanted.trigger:
        found.append(runs.trigger == wanted.trigger)
        # that index is sorted by status within a trigger
        statuses = statuses or [str(status) for status in Status]
    # the rows of one status are in order, those of several are not
    return [found] if statuses is None else [[*found, runs.status == one] for one in statuses]


def _passing(wanted: RunFilter, statuses: list[str] | None) -> Conditions:
    """Return predicates tested on each row of a scan, written so that none selects an index."""
    given = {
        "project_id": wanted.project_id,
        "trigger": wanted.trigger,
        "batch_id": wanted.batch_id,
        "depth_level": wanted.depth,
        "target_framework": wanted.framework,
        "agent": wanted.agent,
    }
    found = [_is_found(name, value) for name, value in given.items() if value is not None]
    if statuses is not None:
        found.append(_is_found("status", *statuses))
    if wanted.branch:
        found.append(
            or_(*(_is_found(name, wanted.branch) for name in ("branch_name", "work_branch")))
        )
    if wanted.issue is not None:
        found.append(func.coalesce(RUNS.c.issue, 0) == wanted.issue)
    if wanted.tag is not None:
        found.append(holds_word(RUNS.c.tags, wanted.tag))
    return found + _of_last_tries(wanted)


def _of_last_tries(wanted: RunFilter) -> Conditions:
    return [RUNS.c.retried_by.is_(None)] if wanted.is_last_try else []


def _is_found(name: str, *values: str) -> ColumnElement[bool]:
    # not in an index's form: the planner would prefer the index with most columns, however slow
    column = func.coalesce(RUNS.c[name], "")
    return column == values[0] if len(values) == 1 else column.in_(values)


@dataclass(frozen=True)
class Page:
    """Runs, newest first, with the cursors of the previous and the next page.

    `looked_among` is how many of the newest runs were searched, None if all were.
    """

    items: list[ListedRun] = field(default_factory=list[ListedRun])
    next_cursor: str | None = None
    prev_cursor: str | None = None
    looked_among: int | None = None


def seen(query: Select[*Columns], *, is_mostly_seen: bool) -> Select[*Columns]:
    """Limit a query of runs to those that the current request can see.

    With `is_mostly_seen` it walks its own index and skips the rest. Otherwise it may read all runs
    of the projects and sort them.
    """
    ids = project_ids()
    if ids is None:
        return query
    # no plain column: the indexes of single projects would be read to their ends
    column = RUNS.c.project_id.concat("") if is_mostly_seen else RUNS.c.project_id
    return query.where(column.in_(sorted(ids)))


def sees_most(session: Session, *led: ColumnElement[bool]) -> bool:
    """Return True if the current request can see a good part of an index range's newest runs.

    SQLite has to be told; PostgreSQL knows it from its statistics, so that this is always False.
    """
    ids = project_ids()
    if ids is None or session.get_bind().dialect.name != SQLITE:
        return False
    order = RUNS.c.created_at.desc(), RUNS.c.id.desc()
    newest = select(RUNS.c.project_id).where(*led).order_by(*order).limit(_LOOKED_AT).subquery()
    visible = func.count().filter(newest.c.project_id.in_(sorted(ids)))
    rows, seen_rows = session.connection().execute(select(func.count(), visible)).one()
    return rows < _LOOKED_AT or seen_rows * _GOOD_PART >= rows


def list_runs(stores: Stores, wanted: RunFilter, *, limit: int, cursor: str | None) -> Page:
    """Return one page of runs. Raises BadCursor."""
    place = read_cursor(cursor, is_run_id)
    found: list[ListedRun] = []
    is_cut = False
    # a batch and its runs are in the same store
    of_batch = [stores.owner_of(wanted.batch_id)] if wanted.batch_id else None
    databases = of_batch or stores.holding_runs()
    ways = ways_to(wanted, is_named=names_run(databases, wanted))
    for database in databases if ways else ():
        runs, is_cut_here = _ask(database, ways, place, limit + 1)
        found += runs
        is_cut = is_cut or is_cut_here
    looked_among = LOOKED_THROUGH if is_cut else None
    return Page(*page_from(place, found, limit), looked_among)


def newest_ids(database: Database, ways: Sequence[Way]) -> tuple[Select[str], bool]:
    """Build the query for the ids of matching runs, and tell if older ones are left out.

    Each way leads to its newest `LOOKED_THROUGH` runs, whatever else it would find.
    """
    with database.reading() as session:
        ways = _fitted(ways, session)
        edges = [session.connection().execute(way.edge()).first() for way in ways]
    queries = [way.query(select(RUNS.c.id), edge) for way, edge in zip(ways, edges, strict=True)]
    found = select(union_all(*queries).subquery().c.id)
    return found, any(edge is not None for edge in edges)


def names_run(databases: Iterable[Database], wanted: RunFilter) -> bool:
    """Return True if titles need no search: the text names a run that the other filters let pass.

    It names a run by `#` and its issue, or by the beginning of its id. In one project, whose titles
    are searched fast, they are always searched.
    """
    text = search_texts.trimmed(wanted.text)
    query = None if wanted.project_id else search_texts.query_of_named(text)
    if query is None or project_ids() is not None:
        return False
    if _created(wanted) or _passing(wanted, _statuses(wanted)):
        ways = ways_to(wanted, is_named=True)
        return bool(ways) and any(_ask(database, ways, None, 1)[0] for database in databases)
    for database in databases:
        with database.reading() as session:
            if session.scalar(query.limit(1)) is not None:
                return True
    return False


def _fitted(ways: Sequence[Way], session: Session) -> Sequence[Way]:
    """Return the ways as they are best walked for what the current request can see."""
    return [replace(way, is_mostly_seen=sees_most(session, *way.led)) for way in ways]


def _ask(
    database: Database, ways: Sequence[Way], place: Place | None, limit: int
) -> tuple[list[ListedRun], bool]:
    """Return the first runs after a place, and if older runs were left unsearched."""
    when, which = RUNS.c.created_at, RUNS.c.id

    def walk(query: Select[*Columns]) -> Select[*Columns]:
        if place is not None:
            query = query.where(is_beyond(place, when, which))
        return query.order_by(*order_from(place, when, which)).limit(limit)

    with database.reading() as session:
        ways, read = _fitted(ways, session), session.connection().execute
        edges = [read(way.edge()).first() if way.is_bounded else None for way in ways]
        is_cut = any(edge is not None for edge in edges)
        ways_and_edges = zip(ways, edges, strict=True)
        if len(ways) == 1:
            [query] = [walk(way.query(LISTED, edge)) for way, edge in ways_and_edges]
            return cast(list[ListedRun], read(query).all()), is_cut
        keys = select(which, when)
        queries = [walk(way.query(keys, edge)) for way, edge in ways_and_edges]
        found = read(union_all(*(select(query.subquery()) for query in queries)))
        forwards = place is None or place.forwards
        newest = sorted({(at, run_id) for run_id, at in found}, reverse=forwards)[:limit]
        ids = [run_id for _, run_id in newest]
        chosen = read(LISTED.where(RUNS.c.id.in_(ids))).all()
        return cast(list[ListedRun], chosen), is_cut
