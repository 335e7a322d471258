"""What is to be known of the open runs without reading them all."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from sqlalchemy import func
from sqlmodel import col
from sqlmodel import select as select_rows

from app.domain.words import Status
from app.records import run_statements
from app.records.routing import Stores
from app.records.tables import Project, Run


class OpenRuns:
    """How many there are, and when something is due for them."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    def counts(self) -> Counter[str]:
        """How many there are, by status."""
        query = select_rows(Run.status, func.count()).where(col(Run.released_at).is_(None))
        found: Counter[str] = Counter()
        for status, count in self.stores.everywhere(query.group_by(col(Run.status))):
            found[status] += count
        return found

    def active_by_project(self) -> dict[str, list[str]]:
        """For every project the ids of the runs that count for its limit."""
        with self.stores.control.reading() as session:
            found: dict[str, list[str]] = {one: [] for one in session.exec(select_rows(Project.id))}
        for project_id, run_id in self.stores.everywhere(run_statements.active_ids()):
            found.setdefault(project_id, []).append(run_id)
        return found

    def starting(self) -> list[Run]:
        """The runs that are being launched, oldest first."""
        query = select_rows(Run).where(
            col(Run.released_at).is_(None), col(Run.status) == Status.STARTING
        )
        return sorted(self.stores.everywhere(query), key=lambda run: (run.created_at, run.id))

    def next_of_waiting(self, now: datetime) -> datetime | None:
        """When the next waiting run is due or expires; None where none does."""
        found: list[datetime] = []
        for status, column in ((Status.DELAYED, Run.due_at), (Status.QUEUED, Run.expires_at)):
            query = select_rows(func.min(col(column))).where(
                col(Run.released_at).is_(None), col(Run.status) == status, col(column) > now
            )
            found += [one for one in self.stores.everywhere(query) if one is not None]
        return min(found, default=None)
