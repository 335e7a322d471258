"""What follows in the control store from what was written of a run, wherever the run lives."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from app.failpoints import reach
from app.records.database import DatabaseSilent, Transaction
from app.records.outbox import Outbox
from app.records.run_ledger import RunLedger
from app.records.tables import Outgoing, Run

log = logging.getLogger(__name__)
SHOWN = ("evidence",)

# what follows: a transaction of the control store, the run, the particulars and the moment it
# was written; what the run's timeline says of it
Consequence = Callable[[Transaction, Run, Mapping[str, Any], datetime], str | None]


class Consequences:
    """With one database in the same transaction; with two once, in order, soon after."""

    def __init__(self, runs: RunLedger, kinds: Mapping[str, Consequence]) -> None:
        self._runs = runs
        self._stores = runs.stores
        self._outbox = Outbox(runs.stores)
        self._kinds = kinds

    def follow(
        self, tx: Transaction, run: Run, kind: str, data: Mapping[str, Any], now: datetime
    ) -> None:
        """Say what follows from what this transaction of the run's store writes."""
        if self._stores.owner_of(run.id) is not self._stores.control:
            self._outbox.put(tx, run.id, kind, data, now)
        elif sentence := self._kinds[kind](tx, run, data, now):
            self._tell(tx, run.id, sentence, data, now)

    def catch_up(self) -> int:
        """Tell the control store what is still to be told, each once; how much it was.

        A store that is silent is asked again by the next sweep.
        """
        try:
            return self._catch_up() if self._outbox.waiting() else 0
        except DatabaseSilent as silence:
            log.warning("what runs have led to is written later: %s", silence)
            return 0

    def _catch_up(self) -> int:
        reach("before_consequences")
        told = self._outbox.deliver(self._deliver)
        reach("consequences_delivered")
        for one, sentence in told:
            with self._stores.owner_of(one.run_id).transaction() as tx:
                if self._outbox.forget(tx, one.key) and sentence:
                    self._tell(tx, one.run_id, sentence, one.data, one.at)
        return len(told)

    def _deliver(self, tx: Transaction, one: Outgoing) -> str | None:
        run = self._runs.find(one.run_id)
        return self._kinds[one.kind](tx, run, one.data, one.at) if run is not None else None

    def _tell(
        self, tx: Transaction, run_id: str, sentence: str, data: Mapping[str, Any], now: datetime
    ) -> None:
        shown = {name: data[name] for name in SHOWN if name in data}
        self._runs.tell(tx, run_id, now, "note", sentence, shown)
