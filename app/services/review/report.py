"""The report: what runs came to since a moment, in all and by project."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.domain.statistics import NOTHING, Figures
from app.records.projects.project_ledger import ProjectLedger
from app.records.review.ended_since import figures_since
from app.records.stores.routing import Stores
from app.services.limits.usage_limits import UsageLimits


@dataclass(frozen=True)
class ProjectReport:
    """A project's part of a report; `waiting_for_limit` counts runs that wait for an account."""

    project_id: str
    project_name: str
    figures: Figures
    waiting_for_limit: int


@dataclass(frozen=True)
class Report:
    """The runs that ended from `since` until `until` (UTC), by project, most runs first."""

    since: datetime
    until: datetime
    projects: tuple[ProjectReport, ...]

    @property
    def figures(self) -> Figures:
        """The totals of all projects."""
        return sum((one.figures for one in self.projects), start=NOTHING)

    @property
    def waiting_for_limit(self) -> int:
        """The number of runs that wait for an account, over all projects."""
        return sum(one.waiting_for_limit for one in self.projects)


class ReportService:
    """Makes reports from daily totals and the runs of the first day."""

    def __init__(self, projects: ProjectLedger, limits: UsageLimits, stores: Stores) -> None:
        self._projects = projects
        self._limits = limits
        self._stores = stores

    def since(self, moment: datetime, now: datetime) -> Report:
        """Return the report from a moment until now; nothing if the moment is to come."""
        ended = figures_since(self._stores, moment, now) if moment < now else {}
        waiting = self._limits.waiting_by_project(now)
        names = self._projects.names.of({*ended, *waiting})
        parts = [
            ProjectReport(one, names.get(one, ""), ended.get(one, NOTHING), waiting.get(one, 0))
            for one in {*ended, *waiting}
        ]
        parts.sort(key=lambda one: (-one.figures.ended, one.project_name, one.project_id))
        return Report(moment, now, tuple(parts))
