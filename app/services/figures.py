"""What runs add up to: a project's days, and the last week of all."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from app.domain.figures import NOTHING, Figures
from app.errors import NotFound
from app.records.day_ledger import DayLedger
from app.records.project_ledger import ProjectLedger
from app.records.routing import Stores

WEEK_DAYS = 7


class FigureDesk:
    """Reads the sums that are kept for each day; never a run."""

    def __init__(self, projects: ProjectLedger, stores: Stores) -> None:
        self._projects = projects
        self._days = DayLedger(stores)

    def of_project(self, project_id: str, days: int, now: datetime) -> dict[date, Figures]:
        """The last `days` UTC days, today as the last, those without an end too. Raises NotFound.

        Oldest first.
        """
        if self._projects.find(project_id) is None:
            raise NotFound
        first = _first_of(days, now)
        known = self._days.by_day(project_id, first)
        every = (first + timedelta(days=number) for number in range(days))
        return {day: known.get(day, NOTHING) for day in every}

    def week(self, now: datetime) -> Figures:
        """Every project's sums of today and the six UTC days before."""
        return self._days.total(_first_of(WEEK_DAYS, now))


def _first_of(days: int, now: datetime) -> date:
    return now.astimezone(UTC).date() - timedelta(days=days - 1)
