"""The counters beside the table: asked first, kept like the table, never trusted alone."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from app.domain.quota_rules import LimitsMode
from app.records.database import DatabaseSilent
from app.records.feed import Change, QuotaChanged
from app.records.run_ledger import RunLedger
from app.services.ports import Counters, CountersSilent, Standing

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")


class Counting:
    """Where the counters are lost, or there are none, the table counts alone.

    `tell` hears of each change of `mode`, as the window of nobody in particular.
    """

    def __init__(
        self,
        counters: Counters | None,
        runs: RunLedger,
        seconds: int,
        tell: Callable[[list[Change]], None],
    ) -> None:
        self._counters = counters
        self._runs = runs
        self._seconds = seconds
        self._tell = tell
        self._lock = threading.Lock()
        self._mode = None if counters else LimitsMode.TABLE

    @property
    def mode(self) -> LimitsMode:
        """How it is counted now; counters are lost until they have answered for the first time."""
        return self._mode or LimitsMode.DEGRADED

    def take(self, person_id: str, run_id: str) -> Standing | None:
        """Take a place; None where no counter can say."""
        return self._ask(lambda counters: counters.take(person_id, run_id))

    def give_back(self, person_id: str, run_id: str) -> None:
        """Leave a place."""
        self._ask(lambda counters: counters.give_back(person_id, run_id))

    def restore(self, person_id: str, now: datetime) -> None:
        """Make one person's window what the table says, if both answer."""
        try:
            charged = self._runs.charged_runs(person_id, self._first(now))
        except DatabaseSilent:
            return  # a run that has just been accepted must not fail for this
        ages = {run_id: (now - at).total_seconds() for run_id, at in charged.items()}
        self._ask(lambda counters: counters.restore(person_id, ages))

    def look_once(self, now: datetime) -> LimitsMode:
        """The mode; counters that were lost are asked whether they are back."""
        return self.check(now) if self.mode is LimitsMode.DEGRADED else self.mode

    def check(self, now: datetime) -> LimitsMode:
        """The mode, asked of the counters themselves; every window is restored once they answer."""
        was_lost = self.mode is LimitsMode.DEGRADED
        if self._ask(lambda counters: counters.probe() or True) and was_lost:
            # whom a silent database hides is restored when next it knows more than the counters
            with contextlib.suppress(DatabaseSilent):
                for person_id in self._runs.charged_people(self._first(now)):
                    self.restore(person_id, now)
        return self.mode

    def close(self) -> None:
        """Give every connection back."""
        if self._counters is not None:
            self._counters.close()

    def _first(self, now: datetime) -> datetime:
        return now - timedelta(seconds=self._seconds)

    def _ask(self, question: Callable[[Counters], Answer]) -> Answer | None:
        if self._counters is None:
            return None
        try:
            answer = question(self._counters)
        except CountersSilent as silence:
            self._change(LimitsMode.DEGRADED, f"limits degraded, the table counts alone: {silence}")
            return None
        self._change(LimitsMode.REDIS, "limits are counted in Redis")
        return answer

    def _change(self, mode: LimitsMode, sentence: str) -> None:
        with self._lock:
            if mode is self._mode:
                return
            self._mode = mode
        log.log(logging.INFO if mode is LimitsMode.REDIS else logging.WARNING, "%s", sentence)
        self._tell([QuotaChanged("")])
