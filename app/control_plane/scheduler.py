"""The scheduler of periodic duties and of duties due at one moment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from app.adapters.machine.clock_changes import ClockChanges
from app.services.concurrency import guarded


class Scheduler:
    """Calls duties from its own thread; a late one is called once, never skipped.

    A duty that raises is logged and affects no other.
    """

    def __init__(self) -> None:
        self._scheduler = BackgroundScheduler(timezone=UTC)
        self._changes = ClockChanges(self.clock_was_set)

    def start(self) -> None:
        """Start; duties added before start now."""
        self._scheduler.start()
        self._changes.start()

    def stop(self) -> None:
        """Stop; a duty that is running finishes by itself."""
        self._changes.stop()
        if self._scheduler.running:
            # a shutdown during a round would make that round fail on removed jobs: pause, so that
            # no new round begins, and list the jobs, which waits for the present one
            self._scheduler.pause()
            self._scheduler.get_jobs()
            self._scheduler.shutdown(wait=False)

    def repeat(self, duty: Callable[[], object], seconds: float) -> None:
        """Call a duty every `seconds`, never twice at once."""
        self._scheduler.add_job(
            guarded,
            "interval",
            args=[duty],
            seconds=seconds,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )

    def clock_was_set(self) -> None:
        """Call every periodic duty now: its next time was computed with the old clock."""
        for job in self._scheduler.get_jobs():
            if isinstance(job.trigger, IntervalTrigger):
                job.modify(next_run_time=datetime.now(UTC))

    def call_at(
        self, moment: datetime, duty: Callable[[], object], *, name: str = "moment"
    ) -> None:
        """Call a duty once, at a moment; it replaces an earlier one of this name."""
        self._scheduler.add_job(
            guarded,
            "date",
            args=[duty],
            run_date=moment,
            id=name,
            replace_existing=True,
            misfire_grace_time=None,
        )
