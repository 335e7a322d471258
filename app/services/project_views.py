"""What a project's card shows, put together for many projects by as few questions as for one."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.domain.lifecycle import LIVE
from app.records.parked_ledger import ParkedLedger
from app.records.project_runs import ProjectRuns, Waiting
from app.records.run_ledger import RunLedger
from app.records.tables import AccountHold, Project, Run, Stuck
from app.services.issues import IssueDesk
from app.services.origin_watch import unreachable_words
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
    agent_problem: str | None = None


class ProjectViews:
    """Builds views from the stores, the tracker and what this server is about."""

    def __init__(
        self,
        runs: RunLedger,
        issues: IssueDesk,
        desk: ProjectDesk,
        limits: UsageLimits,
        quarantine: Quarantine,
    ) -> None:
        self._cards = ProjectRuns(runs.stores)
        self._parked = ParkedLedger(runs)
        self._issues = issues
        self._desk = desk
        self._limits = limits
        self._quarantine = quarantine

    def build(self, projects: Sequence[Project]) -> dict[str, ProjectView]:
        """The views by their projects' ids. Raises DatabaseSilent."""
        if not projects:
            return {}
        ids = [project.id for project in projects]
        newest = self._cards.newest(ids, limit=BARS)
        # what a success or a Reset has wiped out is no failure of now
        counted = {one.id: min(one.strikes, FAILURES) for one in projects if one.strikes}
        failures = self._cards.strikes(counted)
        # of one project only its own are read, of many all there are
        alone = ids[0] if len(ids) == 1 else None
        begun, waiting = self._cards.begun(ids), self._cards.waiting(ids)
        stuck = _by_project(self._quarantine.held(alone))
        parked, ready = self._parked.counts(ids), self._ready_counts(projects)
        holds: dict[str, list[AccountHold]] = {}
        views: dict[str, ProjectView] = {}
        for project in projects:
            one = project.id
            live = [run for run in begun[one] if run.status in LIVE]
            agents = _agents(project, [*waiting[one], *newest[one][:1]])
            views[one] = ProjectView(
                project=project,
                live_runs=len(begun[one]),
                last=next(iter([*live[-1:], *newest[one]]), None),
                newest=tuple(newest[one]),
                failures=tuple(failures.get(one, ())),
                ready_count=ready[one],
                clone_percent=self._desk.progress(one),
                hold=next((some.hold for some in waiting[one] if some.hold), None)
                or unreachable_words(project),
                parked_count=parked[one],
                holds=tuple(self._holds(agents, holds)),
                stuck=tuple(stuck[one]),
                agent_problem=None if project.archived_at else self._desk.agent_problem(project),
            )
        return views

    def _holds(
        self, agents: Iterable[str], known: dict[str, list[AccountHold]]
    ) -> list[AccountHold]:
        found: list[AccountHold] = []
        for agent in agents:
            if agent not in known:
                known[agent] = self._limits.of(agent)
            found += known[agent]
        return found

    def _ready_counts(self, projects: Sequence[Project]) -> dict[str, int | None]:
        ready = [project for project in projects if project.state == "ready"]
        counts: dict[str, int | None] = dict.fromkeys(project.id for project in projects)
        try:
            found = self._issues.claimable_of(ready) if ready else {}
        except Exception:
            if len(ready) == 1:
                log.exception("the issues of project %s could not be read", ready[0].id)
                return counts
            # one project whose issues cannot be read is shown so, and the others are shown
            for project in ready:
                counts |= self._ready_counts([project])
            return counts
        return counts | {
            one: None if numbers is None else len(numbers) for one, numbers in found.items()
        }


def _agents(project: Project, runs: Iterable[Run | Waiting]) -> dict[str, None]:
    """Those whose accounts its next runs need."""
    return dict.fromkeys([project.agent, *(run.agent for run in runs)])


def _by_project(rows: Iterable[Stuck]) -> dict[str | None, list[Stuck]]:
    found: dict[str | None, list[Stuck]] = defaultdict(list)
    for row in rows:
        found[row.project_id].append(row)
    return found
