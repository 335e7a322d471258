"""When something is due for open runs, asked without reading them all."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func
from sqlmodel import col, select

from app.domain.words import Status
from app.records.routing import Stores
from app.records.tables import Run


class RunMoments:
    """Moments of runs that are open."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    def starting(self) -> list[Run]:
        """The runs that are being launched, oldest first."""
        query = select(Run).where(
            col(Run.released_at).is_(None), col(Run.status) == Status.STARTING
        )
        found: list[Run] = []
        for database in self.stores.holding_runs():
            with database.reading() as session:
                found += session.exec(query).all()
        return sorted(found, key=lambda run: (run.created_at, run.id))

    def next_of_waiting(self, now: datetime) -> datetime | None:
        """When the next waiting run is due or expires; None where none does."""
        found: list[datetime] = []
        for status, column in ((Status.DELAYED, Run.due_at), (Status.QUEUED, Run.expires_at)):
            query = select(func.min(col(column))).where(
                col(Run.released_at).is_(None), col(Run.status) == status, col(column) > now
            )
            for database in self.stores.holding_runs():
                with database.reading() as session:
                    found += [moment for moment in session.exec(query) if moment is not None]
        return min(found, default=None)
