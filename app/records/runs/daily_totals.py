"""Daily totals per project, updated in the transactions that end runs."""

from __future__ import annotations

from datetime import UTC, date

from sqlalchemy import Date, bindparam, func, literal, text
from sqlmodel import col, select
from sqlmodel.sql.expression import Select

from app.domain.statistics import NAMES, NOTHING, OUTCOMES, Figures, figures_of
from app.domain.words import Status
from app.records.database.database import Transaction
from app.records.stores.routing import Stores
from app.records.tables import ProjectDay, Run

# works in SQLite and PostgreSQL alike; of two concurrent first runs of a day both count
_ADD = text(
    f"INSERT INTO project_day (project_id, day, {', '.join(NAMES)}) "  # noqa: S608 – own names only
    f"VALUES (:project_id, :day, {', '.join(f':{name}' for name in NAMES)}) "
    "ON CONFLICT (project_id, day) DO UPDATE SET "
    + ", ".join(f"{name} = project_day.{name} + excluded.{name}" for name in NAMES)
).bindparams(bindparam("day", type_=Date))


def figures_of_run(run: Run) -> Figures:
    """Return what a run adds to its day, by its current row."""
    worked = None
    if run.started_at is not None and run.ended_at is not None:
        worked = run.ended_at - run.started_at
    usage = (run.input_tokens, run.output_tokens, run.cost_usd)
    return figures_of(Status(run.status), worked, *usage)


def add_to_day(tx: Transaction, run: Run, before: Figures = NOTHING) -> None:
    """Update the totals of the day on which a run ended; `before` has been counted already.

    Call it in the transaction that changes the row, so that each run is counted exactly once.
    """
    if run.ended_at is None or (more := figures_of_run(run) - before) == NOTHING:
        return
    day = run.ended_at.astimezone(UTC).date()
    sums = dict(zip(NAMES, more.values, strict=True))
    tx.connection().execute(_ADD, {"project_id": run.project_id, "day": day, **sums})


class DayLedger:
    """Reads daily totals; days on which no run ended have no row."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def by_day(self, project_id: str, since: date) -> dict[date, Figures]:
        """Return a project's totals by day (UTC), from `since` on."""
        query = select(ProjectDay).where(
            ProjectDay.project_id == project_id, col(ProjectDay.day) >= since
        )
        found: dict[date, Figures] = {}
        for row in self._stores.everywhere(query):
            found[row.day] = found.get(row.day, NOTHING) + _figures(row)
        return found

    def total(self, since: date) -> Figures:
        """Return the totals of all projects from a day (UTC) on."""
        sums = (func.coalesce(func.sum(getattr(ProjectDay, name)), 0) for name in NAMES)
        query = Select[*tuple[int, ...]](*sums).where(col(ProjectDay.day) >= since)
        rows = self._stores.everywhere(query)
        return sum((Figures(*map(int, row)) for row in rows), start=NOTHING)

    def count_runs(self, project_id: str) -> int:
        """Count a project's runs: ended ones by the daily totals, the others by their rows.

        One statement per database reads both, so that a run that ends at the same time counts once.
        """
        ended = sum((getattr(ProjectDay, name) for name in OUTCOMES), start=literal(0))
        query = select(
            select(func.coalesce(func.sum(ended), 0))
            .where(ProjectDay.project_id == project_id)
            .scalar_subquery()
            + select(func.count())
            .where(
                Run.project_id == project_id,
                col(Run.released_at).is_(None),
                col(Run.ended_at).is_(None),
            )
            .scalar_subquery()
        )
        return sum(map(int, self._stores.everywhere(query)))


def _figures(row: ProjectDay) -> Figures:
    return Figures(**{name: getattr(row, name) for name in NAMES})
