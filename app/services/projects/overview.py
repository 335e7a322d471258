"""Read model of the project cards: cached, rebuilt per changed project, never from history."""

from __future__ import annotations

import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from app.domain.lifecycle import LIVE
from app.domain.usage_limits import Stand, stand_of
from app.errors import NotFound
from app.records.feed import Feed, FeedBroke, Numbered, ProjectChanged
from app.records.people.usage_limit_ledger import facts_of
from app.records.projects.project_ledger import ProjectLedger
from app.records.runs.parked_ledger import ParkedLedger
from app.records.runs.run_ledger import RunLedger
from app.records.runs.selections import ProjectRuns
from app.records.stores.routing import Stores
from app.records.tables import AccountHold, Project, Run, Stuck
from app.services.limits.usage_limits import UsageLimits
from app.services.projects.projects import ProjectService
from app.services.system.origin_watch import unreachable_words
from app.services.system.quarantine import Quarantine
from app.services.tracker.issues import IssueService

log = structlog.get_logger()


BARS = 10
FAILURES = 3
# if the database announces other servers' changes: how long one may go unnoticed
HEARSAY_SECONDS = 30.0


@dataclass(frozen=True)
class ProjectView:
    """A project with its figures; runs are newest first, `parked_count` counts branches.

    `last` is the newest live run, or the newest of all if none is live.
    """

    project: Project
    live_runs: int
    last: Run | None
    newest: tuple[Run, ...]
    failures: tuple[Run, ...]
    ready_count: int | None
    clone_percent: int | None
    hold: str | None
    parked_count: int
    holds: tuple[AccountHold, ...] = ()
    usage_hold: AccountHold | None = None
    stuck: tuple[Stuck, ...] = ()
    agent_problem: str | None = None


class ProjectViews:
    """Builds views from the stores, the tracker and the state of this server."""

    def __init__(
        self,
        runs: RunLedger,
        issues: IssueService,
        projects: ProjectService,
        limits: UsageLimits,
        quarantine: Quarantine,
    ) -> None:
        self._project_runs = ProjectRuns(runs.stores)
        self._parked = ParkedLedger(runs)
        self._issues = issues
        self._projects = projects
        self._limits = limits
        self._quarantine = quarantine

    def build(self, projects: Sequence[Project]) -> dict[str, ProjectView]:
        """Return the views by project id. Raises DatabaseSilent."""
        if not projects:
            return {}
        ids = [project.id for project in projects]
        newest = self._project_runs.newest(ids, limit=BARS)
        # failures before a success or a Reset no longer count
        counted = {one.id: min(one.strikes, FAILURES) for one in projects if one.strikes}
        failures = self._project_runs.strikes(counted)
        # for one project read only its own rows, for several read all rows
        alone = ids[0] if len(ids) == 1 else None
        begun, waits = self._project_runs.begun(ids), self._project_runs.first_holds(ids)
        stuck = _by_project(self._quarantine.held(alone))
        parked, ready = self._parked.counts(ids), self._ready_counts(projects)
        holds = self._holds(projects, newest)
        views: dict[str, ProjectView] = {}
        for project in projects:
            one = project.id
            live = [run for run in begun[one] if run.status in LIVE]
            views[one] = ProjectView(
                project=project,
                live_runs=len(begun[one]),
                last=next(iter([*live[-1:], *newest[one]]), None),
                newest=tuple(newest[one]),
                failures=tuple(failures.get(one, ())),
                ready_count=ready[one],
                clone_percent=self._projects.progress(one),
                hold=waits.get(one) or unreachable_words(project),
                parked_count=parked[one],
                holds=holds.get(one, ()),
                stuck=tuple(stuck[one]),
                agent_problem=None
                if project.archived_at
                else self._projects.agent_problem(project),
            )
        return views

    def _holds(
        self, projects: Sequence[Project], newest: Mapping[str, Sequence[Run]]
    ) -> dict[str, tuple[AccountHold, ...]]:
        """Return the holds on the accounts that each project's next runs need."""
        held = self._limits.held()
        if not held:
            return {}
        waiting = self._project_runs.waiting_agents([one.id for one in projects], held)
        found: dict[str, tuple[AccountHold, ...]] = {}
        for project in projects:
            latest = [run.agent for run in newest[project.id][:1]]
            agents = dict.fromkeys([project.agent, *sorted(waiting[project.id]), *latest])
            found[project.id] = tuple(one for agent in agents for one in held.get(agent, ()))
        return found

    def _ready_counts(self, projects: Sequence[Project]) -> dict[str, int | None]:
        ready = [project for project in projects if project.state == "ready"]
        counts: dict[str, int | None] = dict.fromkeys(project.id for project in projects)
        try:
            found = self._issues.claimable_of(ready) if ready else {}
        except Exception:
            if len(ready) == 1:
                log.exception("issues_not_read", project_id=ready[0].id)
                return counts
            # retry one by one, so that one unreadable project does not hide the others
            for project in ready:
                counts |= self._ready_counts([project])
            return counts
        return counts | {
            one: None if numbers is None else len(numbers) for one, numbers in found.items()
        }


def _by_project(rows: Iterable[Stuck]) -> dict[str | None, list[Stuck]]:
    found: dict[str | None, list[Stuck]] = defaultdict(list)
    for row in rows:
        found[row.project_id].append(row)
    return found


@dataclass(frozen=True, slots=True)
class _Known:
    """A view, and when it was built (monotonic seconds)."""

    view: ProjectView
    built_at: float


@dataclass(frozen=True, slots=True)
class _Listed:
    """Ids of all projects, with the change count and monotonic time at which they were read."""

    ids: tuple[str, ...]
    changes: int
    read_at: float


class Overview:
    """Cached views of the project cards.

    `lifetime` is how many seconds a view is used if no change of its project is received.
    """

    def __init__(
        self,
        projects: ProjectLedger,
        views: ProjectViews,
        feed: Feed,
        clock: Callable[[], datetime],
        *,
        lifetime: float,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._projects = projects
        self._project_views = views
        self._clock = clock
        self._lifetime = lifetime
        self._seconds = seconds
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}
        # change counts per project and of all: a read that began before a change is stale
        self._epochs: dict[str, int] = {}
        self._epoch = self._changes = 0
        self._listed = _Listed((), -1, 0.0)
        feed.subscribe(self._on_change)

    def all(self) -> list[ProjectView]:
        """Return all views, sorted by name, in a fixed number of statements or from the cache."""
        with self._lock:
            listed, changes = self._listed, self._changes
            known = [self._fresh(one) for one in listed.ids]
            if listed.changes == changes and self._is_young(listed.read_at) and all(known):
                return [self._as_of_now(one) for one in known if one is not None]
            now = self._seconds()
        views = self._views(self._projects.all_to_show)
        with self._lock:
            self._listed = _Listed(tuple(one.project.id for one in views), changes, now)
        return views

    def of(self, project_id: str) -> ProjectView:
        """Return the view of one project. Raises NotFound."""
        with self._lock:
            known = self._fresh(project_id)
        if known is not None:
            return self._as_of_now(known)
        return self._views(lambda: [self._find(project_id)])[0]

    def _views(self, read: Callable[[], list[Project]]) -> list[ProjectView]:
        with self._lock:
            # a change during the read must not be hidden by the result
            epoch, epochs = self._epoch, dict(self._epochs)
        projects = read()
        with self._lock:
            known = {one.id: view for one in projects if (view := self._fresh(one.id))}
        built = self._project_views.build([one for one in projects if one.id not in known])
        with self._lock:
            now = self._seconds()
            for project_id, view in built.items():
                was = epoch, epochs.get(project_id, 0)
                is_news = was != (self._epoch, self._epochs.get(project_id, 0))
                if self._lifetime and not is_news and _is_whole(view):
                    self._known[project_id] = _Known(view, now)
        views = known | built
        return [self._as_of_now(views[project.id]) for project in projects]

    def _fresh(self, project_id: str) -> ProjectView | None:
        known = self._known.get(project_id)
        return known.view if known is not None and self._is_young(known.built_at) else None

    def _is_young(self, read_at: float) -> bool:
        return self._seconds() - read_at < self._lifetime

    def _as_of_now(self, view: ProjectView) -> ProjectView:
        standing = _standing(view.holds, self._clock())
        return replace(view, usage_hold=standing) if standing else view

    def _on_change(self, told: Numbered) -> None:
        match told.change:
            case ProjectChanged(project_id):
                with self._lock:
                    self._known.pop(project_id, None)
                    self._changes += 1
                    self._epochs[project_id] = self._epochs.get(project_id, 0) + 1
            case FeedBroke():
                with self._lock:
                    self._known.clear()
                    self._changes += 1
                    self._epoch += 1
            case _:
                pass  # no other change is part of a view

    def _find(self, project_id: str) -> Project:
        project = self._projects.find_to_show(project_id)
        if project is None:
            raise NotFound
        return project


def shown_for(stores: Stores, *, is_alone: bool) -> float:
    """Return how many seconds a view may be cached, by how surely its changes are received."""
    if is_alone:
        return math.inf
    # servers on one SQLite file get no changes from each other
    return 0.0 if any(one.is_sqlite for one in stores.all()) else HEARSAY_SECONDS


def _standing(holds: tuple[AccountHold, ...], now: datetime) -> AccountHold | None:
    """Return the hold that blocks new runs now; of several, the one that lasts longest."""
    stops = (Stand.HELD, Stand.PROBING)
    found = [hold for hold in holds if stand_of(facts_of(hold), now) in stops]
    return max(found, key=lambda hold: (hold.until is None, hold.until or now), default=None)


def _is_whole(view: ProjectView) -> bool:
    # the result of a failed read is not cached
    return view.ready_count is not None or view.project.state != "ready"
