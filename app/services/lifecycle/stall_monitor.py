"""Monitoring of live agents for silence, and the time of each one's next check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from app.domain.agents.liveness import Vitals, next_look, quiet_words
from app.records.runs.run_ledger import RunLedger
from app.records.tables import Run
from app.services.concurrency import Workers
from app.services.runs.agent_reports import Reporter

# if the wall clock gains this many seconds on the waking clock, it was set or the machine slept
SLIP_SECONDS = 5.0


@dataclass(frozen=True)
class Clocks:
    """Clocks and timers; a timer is replaced by the next one of the same name.

    `slip` is how many seconds the wall clock is ahead of the one that counts only waking time.
    """

    now: Callable[[], datetime]
    slip: Callable[[], float]
    call_at: Callable[[str, datetime, Callable[[], None]], None]


class StallMonitor:
    """Watches live agents for silence. Decides nothing: the reaper does."""

    def __init__(
        self,
        runs: RunLedger,
        reporter: Reporter,
        workers: Workers,
        clocks: Clocks,
        again: Callable[[str], None],
    ) -> None:
        self._runs = runs
        self._reporter = reporter
        self._workers = workers
        self._clocks = clocks
        self._again = again
        self._slip = clocks.slip()
        self._not_before: datetime | None = None
        self._due: dict[str, datetime] = {}
        self._last: dict[str, datetime] = {}

    def vitals_of(self, run: Run) -> Vitals | None:
        """Return the vitals of a live run's agent, None if they are unknown right now."""
        self._forgive_lost_time()
        vitals, since = self._reporter.vitals(run), self._not_before
        if vitals is None or since is None:
            return vitals
        return replace(
            vitals,
            output_at=max(vitals.output_at, since),
            progress_at=max(vitals.progress_at, since),
            word_at=max(vitals.word_at, since) if vitals.word_at else None,
        )

    def keep(self, run: Run, vitals: Vitals, stall_seconds: int | None) -> None:
        """Set the run's hold to the warning for a quiet agent, and schedule the next check."""
        now = self._clocks.now()
        words = quiet_words(vitals, stall_seconds, now)
        self._reporter.record_quiet(run.id, is_quiet=words is not None)
        if words != run.hold:
            self._runs.update_fields(run.id, run.project_id, hold=words)
        due, asked = next_look(vitals, stall_seconds, now), self._due.get(run.id)
        if asked is None or asked <= now or due < asked:
            self._due[run.id] = due
            look = partial(self._workers.submit, self._again, run.id)
            self._clocks.call_at(f"look at {run.id}", due, look)

    def expect(self, run: Run, seconds: float) -> None:
        """Schedule a check for when the supervisor's time to end the run is up, in `seconds`."""
        due, asked = self._clocks.now() + timedelta(seconds=seconds), self._last.get(run.id)
        # the time differs if the clock was set
        if asked is None or abs(due - asked) > timedelta(seconds=1):
            self._last[run.id] = due
            look = partial(self._workers.submit, self._again, run.id)
            self._clocks.call_at(f"deadline of {run.id}", due, look)

    def forget(self, run_id: str) -> None:
        """Stop watching this run: its agent has exited."""
        self._due.pop(run_id, None)
        self._last.pop(run_id, None)
        self._reporter.record_quiet(run_id, is_quiet=False)

    def _forgive_lost_time(self) -> None:
        # time asleep or a changed clock is not silence: count from now
        slip, before = self._clocks.slip(), self._slip
        self._slip = slip
        if slip - before > SLIP_SECONDS:
            self._not_before = self._clocks.now()
