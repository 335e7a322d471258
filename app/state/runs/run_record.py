"""All that a page knows of one run, kept up to date by the feed and by fresh snapshots."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from app.api.schemas import ProjectOut, ReportOut, RunOut, SystemOut, TimelineEvent
from app.domain.idempotency import KeyTerms
from app.domain.usage_limits import Stand, covers, sentence_of
from app.domain.words import Phase, Status
from app.state.page.optimistic import OptimisticRows
from app.state.runs.run_timeline import in_order


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


def waits_until(run: RunOut, project: ProjectOut | None) -> datetime | None:
    """When the usage limit ends that a run waits for; None where it waits for something else.

    A run that has ended at its limit waits, too, where it is gone on with by itself.
    """
    limit = project.usage_limit if project else None
    if project is None or limit is None or limit.until is None:
        return None
    if run.phase is Phase.WAITING:
        held = sentence_of(limit.agent, limit.family, Stand.HELD, limit.until)
        return limit.until if (run.hold or "").startswith(held) else None
    goes_on = run.may_resume and not run.retried_by and project.resume_after_limit
    is_held = limit.agent == run.agent and covers(limit.family, run.model)
    return limit.until if run.status is Status.LIMITED and goes_on and is_held else None
