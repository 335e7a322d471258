"""All that a page knows of one run, kept up to date by the feed and by fresh snapshots."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from app.api.schemas import ReportOut, RunOut, SystemOut, TimelineEvent
from app.domain.keys import KeyTerms
from app.state.optimistic import OptimisticRows
from app.state.run_timeline import in_order


@dataclass(frozen=True)
class Snapshot:
    """A run as the API tells it at one moment."""

    run: RunOut
    events: list[TimelineEvent]
    report: ReportOut


class RunRecord:
    """A run, its events and its agent's report; `rows` holds the run and what is done to it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._id = snapshot.run.id
        self.rows: OptimisticRows[RunOut] = OptimisticRows(lambda r: r.id, lambda r: r.created_at)
        self.rows.put(snapshot.run)
        self.report = snapshot.report
        self.events = in_order(snapshot.events)

    @property
    def run(self) -> RunOut:
        """The run as it is shown."""
        return self.rows.visible()[0]

    def take(self, run: RunOut) -> bool:
        """Take the run as the feed tells it; False where that is no news."""
        if run == self.rows.get(self._id):
            return False
        self.rows.put(run)
        return True

    def add(self, events: Iterable[TimelineEvent]) -> None:
        """Take in more events, each once."""
        self.events = in_order([*self.events, *events])

    async def look(self, ask: Callable[[], Awaitable[Snapshot]]) -> None:
        """Ask for a snapshot; of what was told while it was on its way it takes nothing back."""
        run, report = self.rows.get(self._id), self.report
        snapshot = await ask()
        if self.rows.get(self._id) is run:
            self.rows.put(snapshot.run)
        if self.report is report:
            self.report = snapshot.report
        self.add(snapshot.events)


def holds_key(run: RunOut, system: SystemOut, now: datetime) -> bool:
    """True while a run has its idempotency key, and the key's next use would lead to it."""
    if run.idempotency_key is None:
        return False
    terms = KeyTerms(system.key_hold_seconds, system.key_ttl_seconds)
    is_released = run.released_at is not None
    return not terms.is_given_back(
        run.status, created_at=run.created_at, is_released=is_released, now=now
    )
