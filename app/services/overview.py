"""The read model of projects: built once, rebuilt for what changed, never from history."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from app.domain.lifecycle import LIVE, WAITING
from app.errors import NotFound
from app.records.feed import Feed, Numbered, ProjectChanged
from app.records.parked_ledger import ParkedLedger
from app.records.project_ledger import ProjectLedger
from app.records.run_ledger import RunLedger
from app.records.tables import Project, Run
from app.services.issues import IssueDesk
from app.services.projects import ProjectDesk

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


class Overview:
    """What the cards show."""

    def __init__(
        self,
        projects: ProjectLedger,
        runs: RunLedger,
        issues: IssueDesk,
        desk: ProjectDesk,
        feed: Feed,
        *,
        remembers: bool,
    ) -> None:
        self._projects = projects
        self._runs = runs
        self._parked = ParkedLedger(runs)
        self._issues = issues
        self._desk = desk
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
        return view

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
        )

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


def _is_whole(view: ProjectView) -> bool:
    # what one failed read did not tell is asked again, not remembered
    return view.ready_count is not None or view.project.state != "ready"
