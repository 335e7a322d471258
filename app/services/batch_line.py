"""The line in which items of batches wait: who goes on when a slot is free."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

from sqlmodel import Session

from app.domain.batches import UNSEALED, in_turn
from app.domain.lifecycle import DONE, Signal
from app.domain.words import Cause, Status
from app.records import quarantine_ledger, run_ledger
from app.records.batch_ledger import BatchLedger
from app.records.batch_queue import BatchQueue
from app.records.tables import Run
from app.services.floor import Ledgers
from app.services.quarantine import Quarantine, Subject, of_run

ROUNDS = 50  # heads that end unstarted make room for the next, but no fill lasts for ever
NOT_SENT = "its batch was not sent completely within 30 minutes"


class BatchLine:
    """Hands the sweep the items that may go on now, round robin over the batches."""

    def __init__(
        self, ledgers: Ledgers, batches: BatchLedger, max_live_runs: int, quarantine: Quarantine
    ) -> None:
        self._runs = ledgers.runs
        self._projects = ledgers.projects
        self._batches = batches
        self._queue = BatchQueue(batches)
        self._max_live_runs = max_live_runs
        self._quarantine = quarantine

    def fill(self, now: datetime, start: Callable[[Run], bool | None]) -> int:
        """Let items go on while there is room; how many were taken.

        `start` takes an item, ends it or leaves it waiting; True where it was taken.
        """
        self.end_unsealed(now)
        for run in self._queue.overdue(now):
            start(run)
        taken = 0
        for _ in range(ROUNDS):
            more, has_ended = self._fill_round(now, start)
            taken += more
            if not has_ended:
                break
        return taken

    def no_room(self, session: Session, run: Run) -> str | None:
        """Why an item must wait for its repository; read in the transaction that takes it."""
        project = self._projects.find(run.project_id)
        if run.batch_id is None or project is None:
            return None
        active, most = run_ledger.count_open(session, project.id), project.max_concurrency
        if active < most:
            return None
        return f"waits for a free place in the repository: {active} of {most} runs are active"

    def end_unsealed(self, now: datetime) -> int:
        """Abort batches that were never completed, and end their items; how many of these."""
        for batch in self._batches.unsealed_since(now - UNSEALED):
            unsealed = Subject(quarantine_ledger.UNSEALED, batch.id, batch.id, batch.project_id)
            abort = partial(self._batches.abort, batch, now, NOT_SENT)
            self._quarantine.guard(unsealed, abort)
        left = self._queue.left_behind()
        ends = (partial(self._end, run, now) for run in left)
        return sum(
            bool(self._quarantine.guard(of_run("end", run), end))
            for run, end in zip(left, ends, strict=True)
        )

    def _fill_round(self, now: datetime, start: Callable[[Run], bool | None]) -> tuple[int, bool]:
        taken, has_ended, full = 0, False, set[str]()
        held = self._quarantine.ids_held("start")
        for run in in_turn(self._queue.lines(now, at_most=self._max_live_runs, but=held)):
            if self._is_full():
                return taken, False
            if run.project_id in full:
                continue
            if hold := self._waits_for_repository(run):
                full.add(run.project_id)
                self._runs.note_hold(run, hold)
            elif start(run):
                taken += 1
            else:
                latest = self._runs.find(run.id)
                has_ended |= latest is None or latest.status in DONE
        return taken, has_ended

    def _is_full(self) -> bool:
        with self._runs.stores.looking() as session:
            return run_ledger.count_live(session) >= self._max_live_runs

    def _waits_for_repository(self, run: Run) -> str | None:
        with self._runs.stores.looking() as session:
            return self.no_room(session, run)

    def _end(self, run: Run, now: datetime) -> bool:
        batch = self._batches.find(run.batch_id or "")
        because = (batch and batch.because) or NOT_SENT
        columns = {"cause": Cause.LAUNCH_FAILED, "because": because, "hold": None}
        with self._runs.stores.owner_of(run.id).transaction() as tx:
            if run.status == Status.DELAYED:
                due = self._runs.move(tx, run, Signal.DUE, now=now, kind="note", sentence=because)
                run = due or run
            self._runs.move(
                tx,
                run,
                Signal.REFUSED,
                now=now,
                kind="reaped",
                sentence=because,
                released_at=now,
                **columns,
            )
        return True
