"""Statistics of runs: a project's days, and the last week of all projects."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from app.domain.statistics import NOTHING, Figures
from app.domain.words import BUILTIN
from app.errors import NotFound
from app.records.projects.forge_issue_ledger import ForgeIssueLedger
from app.records.projects.project_ledger import ProjectLedger
from app.records.projects.tracker_ledger import TrackerLedger
from app.records.runs.daily_totals import DayLedger
from app.records.runs.selections import OpenRuns
from app.records.stores.routing import Stores

WEEK_DAYS = 7


@dataclass(frozen=True)
class Counts:
    """Counts of a project; issues are None while those of its forge are not known."""

    runs: int
    open_issues: int | None
    open_changes: int | None


class StatisticsService:
    """Reads the daily totals, never the rows of ended runs."""

    def __init__(self, projects: ProjectLedger, stores: Stores) -> None:
        self._projects = projects
        self._days = DayLedger(stores)
        self._open_runs = OpenRuns(stores)
        self._tracker = TrackerLedger(stores)
        self._forge_issues = ForgeIssueLedger(stores)

    def of_project(self, project_id: str, days: int, now: datetime) -> dict[date, Figures]:
        """Return the figures of the last `days` UTC days, today included, oldest first.

        Includes days on which no run ended. Raises NotFound.
        """
        if self._projects.find(project_id) is None:
            raise NotFound
        first = _first_of(days, now)
        known = self._days.by_day(project_id, first)
        every = (first + timedelta(days=number) for number in range(days))
        return {day: known.get(day, NOTHING) for day in every}

    def counts(self, project_id: str) -> Counts:
        """Return the counts of runs, open issues and open changes of a project. Raises NotFound."""
        project = self._projects.find(project_id)
        if project is None:
            raise NotFound
        issues, changes = self._tracker.count_open(project_id)
        if project.tracker != BUILTIN:
            issues = self._forge_issues.count_open(project_id)
        return Counts(self._days.count_runs(project_id), issues, changes)

    def open_by_status(self) -> Counter[str]:
        """Return the number of open runs (accepted and not yet released), by status."""
        return self._open_runs.counts()

    def week(self, now: datetime) -> Figures:
        """Return the totals of all projects for today and the six UTC days before."""
        return self._days.total(_first_of(WEEK_DAYS, now))


def _first_of(days: int, now: datetime) -> date:
    return now.astimezone(UTC).date() - timedelta(days=days - 1)
