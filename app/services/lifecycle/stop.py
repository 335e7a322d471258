"""Stopping a run: the status is written first, so that the kill never counts as a death."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from app.domain.lifecycle import LIVE, Signal
from app.domain.words import Cause, Status
from app.errors import AlreadyEnded, NotFound
from app.records.people.audit_ledger import record
from app.records.runs.run_columns import RunColumns
from app.records.tables import Run
from app.services.context import Context
from app.services.lifecycle.launch import Launcher


class Stopper:
    """Stops runs on request; a stop neither adds nor clears a strike."""

    def __init__(self, context: Context, launcher: Launcher) -> None:
        self._runs = context.ledgers.runs
        self._locks = context.locks
        self._inspect_run = partial(context.workers.submit, context.inspect_run)
        self._kill_soon = partial(context.workers.submit, launcher.halt)

    def stop(self, run_id: str, because: str, now: datetime) -> Run:
        """Write `stopped` and have the processes ended. Raises NotFound, AlreadyEnded."""
        run = self._runs.find(run_id)
        if run is None:
            raise NotFound
        # a launch is not waited for: it finds its run stopped and rolls back. Reaping and pushing
        # are, since they may be about to write the end themselves.
        try:
            if run.status == Status.STARTING:
                stopped = self._write(run, because, now)
                # a setup command may take long: kill it now rather than keep the person waiting
                self._kill_soon(run_id)
                return stopped
            with self._locks.holding(run_id):
                return self._write(self._runs.find(run_id) or run, because, now)
        finally:
            # even if refused: a reap that found the lock taken was put off
            self._inspect_run(run_id)

    def _write(self, run: Run, because: str, now: datetime) -> Run:
        columns: RunColumns = {"cause": Cause.STOPPED, "because": because, "hold": None}
        # a requeued run that still holds another run's work is released once that is settled
        if run.status not in LIVE and run.server is None:
            columns["released_at"] = now
        with self._runs.stores.owner_of(run.id).transaction() as tx:
            moved = self._runs.move(
                tx, run, Signal.STOP, now=now, kind="reaped", sentence=because, **columns
            )
            if moved is not None:
                record(tx, after={"because": because})
        if moved is None:
            latest = self._runs.find(run.id)
            if latest is not None and latest.status != run.status and latest.ended_at is None:
                return self._write(latest, because, now)
            raise AlreadyEnded
        return moved
