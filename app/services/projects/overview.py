"""Read model of the project cards: cached, rebuilt per changed project, never from history."""

from __future__ import annotations

import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from sqlmodel import Session

from app.domain.lifecycle import LIVE
from app.domain.usage_limits import Stand, stand_of
from app.errors import NotFound
from app.records.feed import Feed, FeedBroke, FindingsChanged, Numbered, ProjectChanged
from app.records.people.reach import REACH, can_see, within
from app.records.people.usage_limit_ledger import facts_of
from app.records.projects.project_ledger import ProjectLedger
from app.records.review.open_changes import open_changes_of
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
from app.services.tracker.kept_issues import KeptIssues

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
    review_count: int = 0
    holds: tuple[AccountHold, ...] = ()
    usage_hold: AccountHold | None = None
    stuck: tuple[Stuck, ...] = ()
    agent_problem: str | None = None
    sandbox_problem: str | None = None
    forge_hold: str | None = None


@dataclass(frozen=True)
class CardRows:
    """The rows behind the views of some projects, by project id, as one session saw them."""

    projects: Sequence[Project]
    newest: Mapping[str, Sequence[Run]]
    failures: Mapping[str, Sequence[Run]]
    begun: Mapping[str, Sequence[Run]]
    waits: Mapping[str, str]
    stuck: Mapping[str | None, Sequence[Stuck]]
    parked: Mapping[str, int]
    open_changes: Mapping[str, int]
    # the holds by agent, and the held agents that waiting runs are for
    held: Mapping[str, Sequence[AccountHold]]
    waiting: Mapping[str, Collection[str]]

    def holds_of(self, project: Project) -> tuple[AccountHold, ...]:
        """Return the holds on the accounts that this project's next runs need."""
        if not self.held:
            return ()
        latest = [run.agent for run in self.newest[project.id][:1]]
        agents = dict.fromkeys([project.agent, *sorted(self.waiting[project.id]), *latest])
        return tuple(one for agent in agents for one in self.held.get(agent, ()))


class ProjectViews:
    """Builds views from the stores, the tracker and the state of this server."""

    def __init__(
        self,
        runs: RunLedger,
        issues: IssueService,
        kept: KeptIssues,
        projects: ProjectService,
        limits: UsageLimits,
        quarantine: Quarantine,
    ) -> None:
        self._runs = runs
        self._parked = ParkedLedger(runs)
        self._issues = issues
        # of projects at forges
        self._kept = kept
        self._projects = projects
        self._limits = limits
        self._quarantine = quarantine

    def read(self, session: Session, projects: Sequence[Project]) -> CardRows:
        """Read what the views of these projects show of the stores. Raises DatabaseSilent."""
        ids = [project.id for project in projects]
        runs = ProjectRuns(self._runs.stores, session)
        newest = runs.newest(ids, limit=BARS)
        # failures before a success or a Reset no longer count
        counted = {one.id: min(one.strikes, FAILURES) for one in projects if one.strikes}
        # for one project read only its own rows, for several read all rows
        alone = ids[0] if len(ids) == 1 else None
        held = self._limits.held(session)
        return CardRows(
            projects=projects,
            newest=newest,
            failures=runs.strikes(counted),
            begun=runs.begun(ids),
            waits=runs.first_holds(ids),
            stuck=_by_project(self._quarantine.held(alone, session)),
            parked=self._parked.counts(ids, session),
            open_changes=open_changes_of(session, ids),
            held=held,
            waiting=runs.waiting_agents(ids, held) if held else {},
        )

    def build(self, rows: CardRows) -> dict[str, ProjectView]:
        """Return the views by project id, with what is known of their trackers now."""
        ready = self._ready_counts(rows.projects)
        forge_holds = self._projects.forge_holds(rows.projects)
        views: dict[str, ProjectView] = {}
        for project in rows.projects:
            one = project.id
            newest, begun = rows.newest[one], rows.begun[one]
            live = [run for run in begun if run.status in LIVE]
            views[one] = ProjectView(
                project=project,
                live_runs=len(begun),
                last=next(iter([*live[-1:], *newest]), None),
                newest=tuple(newest),
                failures=tuple(rows.failures.get(one, ())),
                ready_count=ready[one],
                clone_percent=self._projects.progress(one),
                hold=rows.waits.get(one)
                or forge_holds.get(one)
                or unreachable_words(project)
                or project.checks_error
                or project.trust_hold,
                parked_count=rows.parked[one],
                review_count=rows.open_changes.get(one, 0),
                forge_hold=forge_holds.get(one),
                holds=rows.holds_of(project),
                stuck=tuple(rows.stuck[one]),
                agent_problem=None
                if project.archived_at
                else self._projects.agent_problem(project),
                sandbox_problem=None
                if project.archived_at
                else self._projects.sandboxes.problem_of(project),
            )
        return views

    def _claimable(self, projects: Sequence[Project]) -> dict[str, list[int] | None]:
        away = [one for one in projects if one.forge_id is not None]
        here = [one for one in projects if one.forge_id is None]
        found = self._issues.claimable_of(here) if here else {}
        return found | self._kept.claimable_of(away) if away else found

    def _ready_counts(self, projects: Sequence[Project]) -> dict[str, int | None]:
        ready = [project for project in projects if project.state == "ready"]
        counts: dict[str, int | None] = dict.fromkeys(project.id for project in projects)
        try:
            found = self._claimable(ready)
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
        """Return the views that the current request can see, sorted by name.

        Takes a fixed number of statements, or none if they are in the cache.
        """
        if REACH.get() is None:
            return self._all()
        with within(None):  # everybody uses what is read here
            views = self._all()
        return [one for one in views if can_see(one.project.id)]

    def _all(self) -> list[ProjectView]:
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
        if REACH.get() is not None and not can_see(project_id):
            raise NotFound
        with self._lock:
            known = self._fresh(project_id)
        if known is not None:
            return self._as_of_now(known)
        return self._views(lambda session: [self._find(project_id, session)])[0]

    def _views(self, read: Callable[[Session], list[Project]]) -> list[ProjectView]:
        with self._lock:
            # a change during the read must not be hidden by the result
            epoch, epochs = self._epoch, dict(self._epochs)
        with self._projects.stores.looking() as session:
            projects = read(session)
            with self._lock:
                known = {one.id: view for one in projects if (view := self._fresh(one.id))}
            lacking = [one for one in projects if one.id not in known]
            rows = self._project_views.read(session, lacking) if lacking else None
        # outside of the session, because trackers and mirrors may take long
        built = self._project_views.build(rows) if rows else {}
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
        if known is None or not self._is_young(known.built_at):
            return None
        # a forge does not say when its issues have changed
        is_old = self._seconds() - known.built_at >= HEARSAY_SECONDS
        return None if is_old and known.view.project.forge_id is not None else known.view

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
            # what this machine has for agents is part of each view
            case FeedBroke() | FindingsChanged():
                with self._lock:
                    self._known.clear()
                    self._changes += 1
                    self._epoch += 1
            case _:
                pass  # no other change is part of a view

    def _find(self, project_id: str, session: Session) -> Project:
        project = self._projects.find_to_show(project_id, session)
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
