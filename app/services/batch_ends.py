"""What is left in batches that were aborted: who works is stopped, who waits is ended."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial

from app.domain.lifecycle import WAITING, Signal
from app.domain.words import Cause
from app.errors import AlreadyEnded
from app.records.batch_queue import BatchQueue
from app.records.database import DatabaseSilent
from app.records.run_ledger import RunLedger
from app.records.tables import Batch, Run
from app.services.quarantine import Quarantine, of_run
from app.services.stopping import Stopper
from app.services.workers import Rounds, Workers

log = logging.getLogger(__name__)


class BatchEnds:
    """Ends the runs of aborted batches; the abort alone says so, whoever wrote it and died."""

    def __init__(
        self,
        runs: RunLedger,
        queue: BatchQueue,
        stopper: Stopper,
        workers: Workers,
        quarantine: Quarantine,
        clock: Callable[[], datetime],
    ) -> None:
        self._runs = runs
        self._queue = queue
        self._stopper = stopper
        self._quarantine = quarantine
        self._clock = clock
        self._rounds = Rounds(workers, self.end_once)

    def request(self) -> None:
        """End them soon; whoever asks meanwhile makes it go round once more."""
        self._rounds.request()

    def end_once(self) -> None:
        """End what aborted batches have left: what works first, of what waits the last first."""
        try:
            left = self._queue.left_behind()
            for run, batch in sorted(left, key=lambda one: one[0].status in WAITING):
                end = partial(self._end, run, batch)
                self._quarantine.guard(of_run("end", run), end, but=DatabaseSilent)
        except DatabaseSilent as silence:
            # none of the others would come further, and each might wait as long
            log.warning("what aborted batches have left waits for a database: %s", silence)

    def _end(self, run: Run, batch: Batch) -> bool:
        because = batch.because or "its batch was aborted"
        if run.status in WAITING and batch.sealed_at is None:
            self._refuse(run, because)
        else:
            # who ended meanwhile needs nobody
            with suppress(AlreadyEnded):
                self._stopper.stop(run.id, because, self._clock())
        return True

    def _refuse(self, run: Run, because: str) -> None:
        now, columns = self._clock(), {"cause": Cause.LAUNCH_FAILED, "because": because}
        with self._runs.stores.owner_of(run.id).transaction() as tx:
            due = self._runs.move(tx, run, Signal.DUE, now=now, kind="note", sentence=because)
            self._runs.move(
                tx,
                due or run,
                Signal.REFUSED,
                now=now,
                kind="reaped",
                sentence=because,
                released_at=now,
                hold=None,
                **columns,
            )
