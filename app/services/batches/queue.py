"""The queue of batch items: which one starts when a slot is free, and the end of aborted ones."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial

import structlog

from app.domain.batches import UNSEALED, in_turn
from app.domain.lifecycle import WAITING, Signal
from app.domain.words import Cause
from app.errors import AlreadyEnded
from app.records.batches.batch_ledger import BatchLedger
from app.records.batches.batch_queue import BatchQueue, Met
from app.records.database.database import DatabaseSilent
from app.records.projects.project_reading import ProjectUnreadable
from app.records.runs import quarantine_ledger, run_ledger
from app.records.runs.quarantine_ledger import Subject
from app.records.tables import Batch, Run
from app.services.concurrency import SingleFlight
from app.services.context import Context
from app.services.lifecycle.stop import Stopper
from app.services.runs.requests import no_room
from app.services.system.quarantine import Quarantine, of_run

log = structlog.get_logger()
ROUNDS = 50  # a fill ends even if heads keep ending or waiting and let the next ones pass
NOT_SENT = "its batch was not uploaded completely within 30 minutes"


class BatchEnds:
    """Ends the runs of aborted batches; driven by stored aborts, so it survives crashes."""

    def __init__(
        self,
        context: Context,
        queue: BatchQueue,
        stopper: Stopper,
        quarantine: Quarantine,
    ) -> None:
        self._runs = context.ledgers.runs
        self._queue = queue
        self._stopper = stopper
        self._quarantine = quarantine
        self._clock = context.clock
        self._workers = context.workers
        self._rounds = SingleFlight(lambda _: self.end_once())

    def request(self) -> None:
        """Request a pass soon; a request during a pass causes another one."""
        self._rounds.request(self._workers)

    def end_once(self) -> None:
        """End what aborted batches left: live runs first, then waiting ones, newest first."""
        try:
            left = self._queue.left_behind()
            for run, batch in sorted(left, key=lambda one: one[0].status in WAITING):
                end = partial(self._end, run, batch)
                self._quarantine.guard(of_run("end", run), end, but=DatabaseSilent)
        except DatabaseSilent as silence:
            # the other runs would fail the same way, each after as long a wait
            log.warning("batch_ends_postponed", because=silence)

    def _end(self, run: Run, batch: Batch) -> bool:
        because = batch.because or "its batch was aborted"
        if run.status in WAITING and batch.sealed_at is None:
            self._refuse(run, because)
        else:
            # a run that ended in between needs no stop
            with suppress(AlreadyEnded):
                self._stopper.stop(run.id, because, self._clock())
        return True

    def _refuse(self, run: Run, because: str) -> None:
        now = self._clock()
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
                cause=Cause.LAUNCH_FAILED,
                because=because,
            )


class BatchLine:
    """Feeds the sweep with batch items that may start, round robin over the batches."""

    def __init__(
        self,
        context: Context,
        batches: BatchLedger,
        queue: BatchQueue,
        ends: BatchEnds,
        quarantine: Quarantine,
    ) -> None:
        self.ends = ends
        self._runs = context.ledgers.runs
        self._projects = context.ledgers.projects
        self._batches = batches
        self._queue = queue
        self._max_live_runs = context.settings.max_live_runs
        self._quarantine = quarantine

    def fill(self, now: datetime, start: Callable[[Run], bool | None]) -> int:
        """Start items while there is room; return how many were taken.

        `start` takes an item, ends it or leaves it waiting, and returns True if it was taken.
        """
        self.settle_unsealed(now)
        taken, met = 0, Met(runs=set(self._quarantine.ids_held("start")))
        for _ in range(ROUNDS):
            more, continues = self._fill_round(now, start, met)
            taken += more
            if not continues:
                break
        return taken

    def end_left_behind(self) -> None:
        """Request the end of runs left by aborted batches, whichever server aborted them."""
        if self._queue.has_left_behind():
            self.ends.request()

    def settle_unsealed(self, now: datetime) -> None:
        """Seal complete batches, and abort those not completed within UNSEALED."""
        for batch, received in self._batches.unsealed():
            if received == batch.run_count:
                # the sender of the last item never sealed it
                duty = partial(self._batches.seal, batch, now)
            elif batch.created_at <= now - UNSEALED:
                duty = partial(self._give_up, batch, now)
            else:
                continue
            unsealed = Subject(quarantine_ledger.UNSEALED, batch.id, batch.id, batch.project_id)
            self._quarantine.guard(unsealed, duty)

    def _give_up(self, batch: Batch, now: datetime) -> bool:
        is_given_up = self._batches.give_up(batch, now, NOT_SENT)
        if is_given_up:
            self.ends.request()
        return is_given_up

    def _fill_round(
        self, now: datetime, start: Callable[[Run], bool | None], met: Met
    ) -> tuple[int, bool]:
        """Return how many were taken, and whether another round may find more."""
        taken, continues = 0, False
        if self._is_full():
            return taken, continues
        for run in in_turn(self._queue.lines(now, at_most=self._max_live_runs, but=met)):
            if self._is_full():
                return taken, False
            if met.covers(run):
                continue
            if hold := self._waits_for_repository(run):
                met.projects.add(run.project_id)
                self._runs.set_hold(run, hold)
                continue
            is_taken = start(run)
            if is_taken:
                taken += 1
                continue
            continues = True
            if is_taken is None:
                met.runs.add(run.id)
            elif self._still_waits(run):
                met.add_kind(run)
        return taken, continues

    def _still_waits(self, run: Run) -> bool:
        latest = self._runs.find(run.id)
        return latest is not None and latest.status in WAITING

    def _is_full(self) -> bool:
        with self._runs.stores.looking() as session:
            return run_ledger.count_live(session) >= self._max_live_runs

    def _waits_for_repository(self, run: Run) -> str | None:
        try:
            project = self._projects.find(run.project_id)
        except ProjectUnreadable:
            return None  # the start says so
        if project is None:
            return None
        with self._runs.stores.looking() as session:
            return no_room(session, run, project)
