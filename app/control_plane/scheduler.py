"""What comes again by the clock, and what is due at one moment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from app.adapters.machine.clock_changes import ClockChanges


class Metronome:
    """Calls duties from a thread of its own; one that comes late comes once, never not at all."""

    def __init__(self) -> None:
        self._scheduler = BackgroundScheduler(timezone=UTC)
        self._changes = ClockChanges(self.clock_was_set)

    def start(self) -> None:
        """Begin; what was asked for before begins now."""
        self._scheduler.start()
        self._changes.start()

    def stop(self) -> None:
        """End; a duty that has begun comes to its end by itself."""
        self._changes.stop()
        if self._scheduler.running:
            # a shutdown in the middle of a round would trip that round over jobs that are gone:
            # no new round begins, and asking for the jobs waits for the present one
            self._scheduler.pause()
            self._scheduler.get_jobs()
            self._scheduler.shutdown(wait=False)

    def repeat(self, duty: Callable[[], object], seconds: float) -> None:
        """Call a duty every so many seconds, never twice at once."""
        self._scheduler.add_job(
            duty,
            "interval",
            seconds=seconds,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )

    def clock_was_set(self) -> None:
        """Call every duty that repeats now: its next turn was at a time of the old clock."""
        for job in self._scheduler.get_jobs():
            if isinstance(job.trigger, IntervalTrigger):
                job.modify(next_run_time=datetime.now(UTC))

    def call_at(
        self, moment: datetime, duty: Callable[[], object], *, name: str = "moment"
    ) -> None:
        """Call a duty once, at a moment; it takes the place of the one of this name before."""
        self._scheduler.add_job(
            duty,
            "date",
            run_date=moment,
            id=name,
            replace_existing=True,
            misfire_grace_time=None,
        )
