"""Delayed runs: changing their start time or starting them now."""

from __future__ import annotations

from datetime import datetime, timedelta

from app.domain.formatting import iso
from app.domain.lifecycle import Signal
from app.domain.starts import moment_of
from app.domain.words import Status
from app.errors import AlreadyStarted, Invalid, NotFound
from app.records.feed import StartMoved
from app.records.runs.run_columns import RunColumns
from app.records.runs.run_ledger import RunLedger
from app.records.tables import Run
from app.services.runs.requests import ttl_of


class PlannedRunService:
    """Changes when a `delayed` run starts; each change is published."""

    def __init__(self, runs: RunLedger) -> None:
        self._runs = runs

    def move(self, run_id: str, start: int | str, who: str, now: datetime) -> Run:
        """Set another start time, as returned by `read_start`.

        Raises NotFound, AlreadyStarted, and Invalid for a time in the past.
        """
        run = self._find(run_id)
        try:
            at = moment_of(start, now, None)
        except ValueError as problem:
            raise Invalid.field("starts_at", str(problem)) from problem
        said = f"moved by {who}: starts at {at:%d %b %H:%M} UTC"
        with self._runs.stores.owner_of(run.id).transaction() as tx:
            moved = self._runs.plan(tx, run, at, now=now, sentence=said, **_from(run, at))
            if moved is None:
                raise AlreadyStarted
            tx.publish(StartMoved(moved.id, moved.due_at))
        return moved

    def start_now(self, run_id: str, who: str, now: datetime) -> Run:
        """Queue a delayed run at once. Raises NotFound, AlreadyStarted."""
        run = self._find(run_id)
        columns: RunColumns = {"due_at": now, **_from(run, now)}
        with self._runs.stores.owner_of(run.id).transaction() as tx:
            moved = self._runs.move(
                tx,
                run,
                Signal.DUE,
                now=now,
                kind="note",
                sentence=f"started now by {who}",
                data={"starts_at": iso(now)},
                **columns,
            )
            if moved is None:
                raise AlreadyStarted
            tx.publish(StartMoved(moved.id, None))
        return moved

    def _find(self, run_id: str) -> Run:
        run = self._runs.find(run_id)
        if run is None:
            raise NotFound
        if run.status != Status.DELAYED:
            raise AlreadyStarted
        return run


def _from(run: Run, moment: datetime) -> RunColumns:
    # the time to live counts from the start time, so it moves along
    ttl = ttl_of(run)
    return {} if ttl is None else {"expires_at": moment + timedelta(seconds=ttl)}
