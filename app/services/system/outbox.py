"""Applies the effects of runs to the control store, in whichever store the run lives."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import structlog

from app.failpoints import failpoint
from app.records.database.database import DatabaseSilent, Transaction
from app.records.people.audit_ledger import DEED, append_details
from app.records.runs.quarantine_ledger import TOLD, Subject
from app.records.runs.run_ledger import RunLedger
from app.records.stores.outbox import NotNow, Outbox
from app.records.tables import Outgoing, Run
from app.services.system.quarantine import Quarantine

log = structlog.get_logger()
SHOWN = ("evidence",)

# applies an effect: a transaction of the control store, the run, the data and the time it was
# written; returns a sentence for the run's timeline
Consequence = Callable[[Transaction, Run, Mapping[str, Any], datetime], str | None]


class OutboxProcessor:
    """Applies a run's effects to the control store.

    With one database in the same transaction; with two exactly once and in order, through the
    outbox.
    """

    def __init__(self, runs: RunLedger, quarantine: Quarantine) -> None:
        self._runs = runs
        self._stores = runs.stores
        self._outbox = Outbox(runs.stores)
        self._kinds: dict[str, Consequence] = {}
        self._quarantine = quarantine

    def register(self, kind: str, consequence: Consequence) -> None:
        """Apply effects of this kind by `consequence`."""
        self._kinds[kind] = consequence

    def follow(
        self, tx: Transaction, run: Run, kind: str, data: Mapping[str, Any], now: datetime
    ) -> None:
        """Apply an effect of a write in `tx`, or queue it if the run is in another store."""
        if self._stores.owner_of(run.id) is not self._stores.control:
            self._outbox.put(tx, run.id, kind, data, now)
        elif sentence := self._kinds[kind](tx, run, data, now):
            self._append_event(tx, run.id, sentence, data, now)

    def catch_up(self) -> int:
        """Apply the queued effects to the control store, each exactly once. Return how many.

        If a store is silent, the next sweep tries again.
        """
        try:
            is_free = any(not self._is_held(one) for one in self._outbox.waiting())
            return self._catch_up() if is_free else 0
        except DatabaseSilent as silence:
            log.warning("run_effects_postponed", because=silence)
            return 0

    def _catch_up(self) -> int:
        failpoint("before_consequences")
        failed: list[tuple[Outgoing, Exception]] = []
        # within a project nothing overtakes a failed effect until that is held
        behind: set[str] = set()

        def fail(one: Outgoing, problem: Exception) -> None:
            log.error("run_effect_not_applied", run_id=one.run_id, exc_info=problem)
            failed.append((one, problem))
            behind.add(self._project_of(one))

        told = self._outbox.deliver(lambda tx, one: self._deliver(tx, one, behind), fail)
        for one, problem in failed:
            self._quarantine.count(self._subject_of(one), problem)
        failpoint("consequences_delivered")
        self._conclude(told)
        return len(told)

    @contextmanager
    def overtaking(
        self, project_id: str, kinds: Collection[str], sentence: str
    ) -> Generator[Transaction]:
        """Open a transaction of the control store that voids the earlier effects of a project.

        Effects of these kinds that are still queued are dropped; their runs' timelines get
        `sentence`. Raises DatabaseSilent, also if the queue cannot be read.
        """
        self.catch_up()
        with self._stores.control.transaction() as tx:
            # no other server delivers from here on
            tx.begin_now()
            waiting = [one for one in self._outbox.waiting() if one.kind in kinds]
            void = [one for one in waiting if self._project_of(one) == project_id]
            self._outbox.take(tx, void, sentence)
            yield tx
        if void:
            failpoint("reset.between_stores")
            self._conclude([(one, sentence) for one in void])

    def _conclude(self, told: Sequence[tuple[Outgoing, str | None]]) -> None:
        for one, sentence in told:
            with self._stores.owner_of(one.run_id).transaction() as tx:
                if self._outbox.forget(tx, one.key) and sentence:
                    self._append_event(tx, one.run_id, sentence, one.data, one.at)
            self._quarantine.drop(f"{TOLD}.{one.key}")

    def _deliver(self, tx: Transaction, one: Outgoing, behind: set[str]) -> str | None:
        if self._is_held(one):
            raise NotNow
        if one.kind == DEED:
            append_details(tx, one.data, one.at)
            return None
        run = self._runs.find(one.run_id)
        if run is None:
            return None
        if run.project_id in behind:
            raise NotNow
        return self._kinds[one.kind](tx, run, one.data, one.at)

    def _is_held(self, one: Outgoing) -> bool:
        return self._quarantine.is_held(f"{TOLD}.{one.key}")

    def _subject_of(self, one: Outgoing) -> Subject:
        return Subject(TOLD, one.key, one.run_id, self._project_of(one) or None, one.run_id)

    def _project_of(self, one: Outgoing) -> str:
        run = self._runs.find(one.run_id)
        return run.project_id if run is not None else ""

    def _append_event(
        self, tx: Transaction, run_id: str, sentence: str, data: Mapping[str, Any], now: datetime
    ) -> None:
        shown = {name: data[name] for name in SHOWN if name in data}
        self._runs.append_event(tx, run_id, now, "note", sentence, shown)
