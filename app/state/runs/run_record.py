"""The state of a run's page, updated by the feed and by snapshots."""

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
    """A run with its events and report, as the API returned them."""

    run: RunOut
    events: list[TimelineEvent]
    report: ReportOut


class RunRecord:
    """A run, its events and its agent's report; `rows` holds the run with pending changes."""

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
        """Update the run from the feed; return False if nothing changed."""
        if run == self.rows.get(self._id):
            return False
        self.rows.put(run)
        return True

    def add(self, events: Iterable[TimelineEvent]) -> None:
        """Add events, each once."""
        self.events = in_order([*self.events, *events])

    async def refresh(self, ask: Callable[[], Awaitable[Snapshot]]) -> None:
        """Fetch and merge a snapshot; feed updates that arrive during the fetch win."""
        run, report = self.rows.get(self._id), self.report
        snapshot = await ask()
        if self.rows.get(self._id) is run:
            self.rows.put(snapshot.run)
        if self.report is report:
            self.report = snapshot.report
        self.add(snapshot.events)


def because_of_bad_end(run: RunOut) -> str | None:
    """Return why a run ended without success, None while it has not or if that is unknown."""
    is_bad = run.phase is Phase.DONE and run.status is not Status.SUCCEEDED
    return run.because or None if is_bad else None


def holds_key(run: RunOut, system: SystemOut, now: datetime) -> bool:
    """Return True while the next use of the run's idempotency key would lead to this run."""
    if run.idempotency_key is None:
        return False
    terms = KeyTerms(system.key_hold_seconds, system.key_ttl_seconds)
    is_released = run.released_at is not None
    return not terms.is_given_back(
        run.status, created_at=run.created_at, is_released=is_released, now=now
    )


def waits_until(run: RunOut, project: ProjectOut | None) -> datetime | None:
    """Return when the usage limit that a run waits for ends (UTC), None if none or unknown.

    Includes a run that ended at its limit and will be resumed automatically.
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
