"""The counters beside the tables: asked first, kept like the tables, never trusted alone."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from app.domain.quota import Counted, LimitsMode
from app.records.batches.batch_ledger import BatchLedger
from app.records.database.database import DatabaseSilent
from app.records.feed import Change, QuotaChanged
from app.records.runs.run_ledger import RunLedger
from app.services.ports import Charge, Counters, CountersSilent, Standing

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Charged:
    """What a table says of one kind of window of so many `seconds`.

    `of` answers a person's charges since a moment and when each was made, `people` everybody's
    ids who has one.
    """

    seconds: int
    of: Callable[[str, datetime], Mapping[Charge, datetime]]
    people: Callable[[datetime], set[str]]


def charged_runs(ledger: RunLedger, seconds: int) -> Charged:
    """The window of accepted runs."""

    def of(person_id: str, since: datetime) -> dict[Charge, datetime]:
        found = ledger.charged_runs(person_id, since)
        return {Charge(Counted.RUNS, run_id): at for run_id, at in found.items()}

    return Charged(seconds, of, ledger.charged_people)


def charged_batches(ledger: BatchLedger, seconds: int) -> Charged:
    """The window of items of batches."""

    def of(person_id: str, since: datetime) -> dict[Charge, datetime]:
        found = ledger.charged_batches(person_id, since)
        return {Charge(Counted.BATCHES, id_, spent.items): spent.at for id_, spent in found.items()}

    return Charged(seconds, of, ledger.charged_people)


class Counting:
    """Where the counters are lost, or there are none, the tables count alone.

    `tell` hears of each change of `mode`, as the window of nobody in particular.
    """

    def __init__(
        self,
        counters: Counters | None,
        tables: Mapping[Counted, Charged],
        tell: Callable[[list[Change]], None],
    ) -> None:
        self._counters = counters
        self._tables = tables
        self._tell = tell
        self._lock = threading.Lock()
        self._mode = None if counters else LimitsMode.TABLE

    @property
    def mode(self) -> LimitsMode:
        """How it is counted now; counters are lost until they have answered for the first time."""
        return self._mode or LimitsMode.DEGRADED

    def take(self, person_id: str, charge: Charge) -> Standing | None:
        """Take places; None where no counter can say."""
        return self._ask(lambda counters: counters.take(person_id, charge))

    def give_back(self, person_id: str, charge: Charge) -> None:
        """Leave places."""
        self._ask(lambda counters: counters.give_back(person_id, charge))

    def restore(self, person_id: str, counted: Counted, now: datetime) -> None:
        """Make one person's window what the table says, if both answer."""
        table = self._tables[counted]
        try:
            charged = table.of(person_id, now - timedelta(seconds=table.seconds))
        except DatabaseSilent:
            return  # what has just been accepted must not fail for this
        ages = {charge: (now - at).total_seconds() for charge, at in charged.items()}
        self._ask(lambda counters: counters.restore(person_id, counted, ages))

    def look_once(self, now: datetime) -> LimitsMode:
        """The mode; counters that were lost are asked whether they are back."""
        return self.check(now) if self.mode is LimitsMode.DEGRADED else self.mode

    def check(self, now: datetime) -> LimitsMode:
        """The mode, asked of the counters themselves; every window is restored once they answer."""
        was_lost = self.mode is LimitsMode.DEGRADED
        if self._ask(lambda counters: counters.probe() or True) and was_lost:
            # whom a silent database hides is restored when next it knows more than the counters
            with contextlib.suppress(DatabaseSilent):
                for counted, table in self._tables.items():
                    for person_id in table.people(now - timedelta(seconds=table.seconds)):
                        self.restore(person_id, counted, now)
        return self.mode

    def close(self) -> None:
        """Give every connection back."""
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
        log.log(logging.INFO if mode is LimitsMode.REDIS else logging.WARNING, "%s", sentence)
        self._tell([QuotaChanged("")])
