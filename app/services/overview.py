"""The read model of projects: built once, rebuilt for what changed, never from history."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from app.domain.holds import Stand, stand_of
from app.domain.lifecycle import LIVE, WAITING
from app.errors import NotFound
from app.records.feed import Feed, Numbered, ProjectChanged
from app.records.hold_ledger import facts_of
from app.records.parked_ledger import ParkedLedger
from app.records.project_ledger import ProjectLedger
from app.records.run_ledger import RunLedger
from app.records.tables import AccountHold, Project, Run, Stuck
from app.services.issues import IssueDesk
from app.services.projects import ProjectDesk
from app.services.quarantine import Quarantine
from app.services.usage_limits import UsageLimits

log = logging.getLogger(__name__)
BARS = 10
FAILURES = 3


@dataclass(frozen=True)
class ProjectView:
    """A project with its figures; runs newest first, parked branches counted.

    `last` is the newest live run, and the newest of all where none is live.
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


class Overview:
    """What the cards show."""

    def __init__(
        self,
        projects: ProjectLedger,
        runs: RunLedger,
        issues: IssueDesk,
        desk: ProjectDesk,
        feed: Feed,
        limits: UsageLimits,
        clock: Callable[[], datetime],
        quarantine: Quarantine,
        *,
        remembers: bool,
    ) -> None:
        self._projects = projects
        self._runs = runs
        self._parked = ParkedLedger(runs)
        self._issues = issues
        self._desk = desk
        self._limits = limits
        self._clock = clock
        self._quarantine = quarantine
        # on a shared database another server's changes are not heard: nothing may be remembered
        self._remembers = remembers
        self._lock = threading.Lock()
        self._views: dict[str, ProjectView] = {}
        self._epochs: dict[str, int] = {}
        feed.subscribe(self._hear)

    def all(self) -> list[ProjectView]:
        """Every project by name."""
        return [self.of(project.id) for project in self._projects.all()]

    def of(self, project_id: str) -> ProjectView:
        """One project. Raises NotFound."""
        with self._lock:
            view, epoch = self._views.get(project_id), self._epochs.get(project_id, 0)
        if view is None:
            view = self._build(project_id)
            with self._lock:
                # what changed while it was being built must not be hidden by it
                is_news = self._epochs.get(project_id, 0) != epoch
                if self._remembers and not is_news and _is_whole(view):
                    self._views[project_id] = view
        standing = _standing(view.holds, self._clock())
        return replace(view, usage_hold=standing) if standing else view

    def _hear(self, told: Numbered) -> None:
        if isinstance(told.change, ProjectChanged):
            project_id = told.change.project_id
            with self._lock:
                self._views.pop(project_id, None)
                self._epochs[project_id] = self._epochs.get(project_id, 0) + 1

    def _build(self, project_id: str) -> ProjectView:
        project = self._projects.find(project_id)
        if project is None:
            raise NotFound
        newest = self._runs.newest_of(project_id, limit=BARS)
        open_runs = self._runs.open_runs(project_id)
        waiting = [run for run in open_runs if run.status in WAITING]
        live = [run for run in open_runs if run.status in LIVE]
        return ProjectView(
            project=project,
            live_runs=len(open_runs) - len(waiting),
            last=next(iter([*live[-1:], *newest]), None),
            newest=tuple(newest),
            failures=tuple(self._failures(project)),
            ready_count=self._ready_count(project),
            clone_percent=self._desk.progress(project_id),
            hold=next((run.hold for run in waiting if run.hold), None),
            parked_count=self._parked.count(project_id),
            holds=tuple(self._holds(project, [*waiting, *newest[:1]])),
            stuck=tuple(self._quarantine.held(project_id)),
        )

    def _holds(self, project: Project, runs: list[Run]) -> list[AccountHold]:
        """Those of the accounts that its next runs need."""
        agents = dict.fromkeys([project.agent, *(run.agent for run in runs)])
        return [hold for agent in agents for hold in self._limits.of(agent)]

    def _ready_count(self, project: Project) -> int | None:
        # one project whose issues cannot be read is shown so, and the others are shown
        try:
            return self._issues.claimable_count(project)
        except Exception:
            log.exception("the issues of project %s could not be read", project.id)
            return None

    def _failures(self, project: Project) -> list[Run]:
        # what a success or a Reset has wiped out is no failure of now
        wanted = min(project.strikes, FAILURES)
        return self._runs.newest_strikes(project.id, limit=wanted) if wanted else []


def _standing(holds: tuple[AccountHold, ...], now: datetime) -> AccountHold | None:
    """The hold that lets nothing pass now, of several the one that lasts longest."""
    stops = (Stand.HELD, Stand.PROBING)
    found = [hold for hold in holds if stand_of(facts_of(hold), now) in stops]
    return max(found, key=lambda hold: (hold.until is None, hold.until or now), default=None)


def _is_whole(view: ProjectView) -> bool:
    # what one failed read did not tell is asked again, not remembered
    return view.ready_count is not None or view.project.state != "ready"
