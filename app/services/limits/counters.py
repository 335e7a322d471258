"""Counters beside the tables: read first, kept in line with the tables, never trusted alone."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from app.domain.quota import Counted, LimitsMode
from app.records.batches.batch_ledger import BatchLedger
from app.records.database.database import DatabaseSilent
from app.records.feed import Change, QuotaChanged
from app.records.runs.run_ledger import RunLedger
from app.services.ports import Charge, Counters, CountersSilent, WindowState

log = structlog.get_logger()
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Charged:
    """Charges recorded in a table for one kind of window of `seconds`.

    `of` returns a person's charges since a moment, each with its time (UTC); `people` the ids of
    everyone charged since a moment.
    """

    seconds: int
    of: Callable[[str, datetime], Mapping[Charge, datetime]]
    people: Callable[[datetime], set[str]]


def charged_runs(ledger: RunLedger, seconds: int) -> Charged:
    """Return the recorded charges of accepted runs."""

    def of(person_id: str, since: datetime) -> dict[Charge, datetime]:
        found = ledger.charged_runs(person_id, since)
        return {Charge(Counted.RUNS, run_id): at for run_id, at in found.items()}

    return Charged(seconds, of, ledger.charged_people)


def charged_batches(ledger: BatchLedger, seconds: int) -> Charged:
    """Return the recorded charges of batch items."""

    def of(person_id: str, since: datetime) -> dict[Charge, datetime]:
        found = ledger.charged_batches(person_id, since)
        return {Charge(Counted.BATCHES, id_, spent.items): spent.at for id_, spent in found.items()}

    return Charged(seconds, of, ledger.charged_people)


class CounterService:
    """Access to the counters; without them, or while they are lost, the tables count alone.

    `publish` gets a QuotaChanged for no particular person at each change of `mode`.
    """

    def __init__(
        self,
        counters: Counters | None,
        tables: Mapping[Counted, Charged],
        publish: Callable[[list[Change]], None],
    ) -> None:
        self._counters = counters
        self._tables = tables
        self._publish = publish
        self._lock = threading.Lock()
        self._mode = None if counters else LimitsMode.TABLE

    @property
    def mode(self) -> LimitsMode:
        """Current mode of counting; DEGRADED until the counters have answered once."""
        return self._mode or LimitsMode.DEGRADED

    def take(self, person_id: str, charge: Charge, limit: int) -> WindowState | None:
        """Take places of at most `limit`. Return None if no counter answers."""
        return self._ask(lambda counters: counters.take(person_id, charge, limit))

    def release(self, person_id: str, charge: Charge) -> None:
        """Release places."""
        self._ask(lambda counters: counters.release(person_id, charge))

    def restore(self, person_id: str, counted: Counted, now: datetime) -> None:
        """Rebuild one person's window from the table, if both answer."""
        table = self._tables[counted]
        try:
            charged = table.of(person_id, now - timedelta(seconds=table.seconds))
        except DatabaseSilent:
            return  # a run that was just accepted must not fail because of this
        ages = {charge: (now - at).total_seconds() for charge, at in charged.items()}
        self._ask(lambda counters: counters.restore(person_id, counted, ages))

    def check_once(self, now: datetime) -> LimitsMode:
        """Return the mode, after probing the counters if they were lost."""
        return self.check(now) if self.mode is LimitsMode.DEGRADED else self.mode

    def check(self, now: datetime) -> LimitsMode:
        """Probe the counters and return the mode; restore every window when they come back."""
        was_lost = self.mode is LimitsMode.DEGRADED
        if self._ask(lambda counters: counters.probe() or True) and was_lost:
            # a window missed here is restored when its table next exceeds the counters
            with contextlib.suppress(DatabaseSilent):
                for counted, table in self._tables.items():
                    for person_id in table.people(now - timedelta(seconds=table.seconds)):
                        self.restore(person_id, counted, now)
        return self.mode

    def close(self) -> None:
        """Close every connection."""
        if self._counters is not None:
            self._counters.close()

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
        write = log.info if mode is LimitsMode.REDIS else log.warning
        write("limits_mode_changed", mode=mode.value, because=sentence)
        self._publish([QuotaChanged("")])
