"""Recovery at server start: take over what an earlier server left (engine.md §6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

import structlog
from structlog.contextvars import bound_contextvars

from app.domain.lifecycle import DONE
from app.records.runs.run_ledger import RunLedger
from app.records.tables import Run
from app.services.concurrency import guarded
from app.services.context import Clearing
from app.services.lifecycle.reap import Reaper
from app.services.ports import Engine
from app.services.system.quarantine import Quarantine, of_run

log = structlog.get_logger()
_T = TypeVar("_T")


class Recovery:
    """The recovery steps in order; a failing step never stops the next."""

    def __init__(
        self,
        runs: RunLedger,
        engine: Engine,
        reaper: Reaper,
        clearings: Sequence[Clearing],
        quarantine: Quarantine,
    ) -> None:
        self._runs = runs
        self._engine = engine
        self._reaper = reaper
        self._clearings = clearings
        self._quarantine = quarantine

    def once(self, now: datetime) -> int:
        """Adopt, end or roll back every open run and kill stray processes; return how many."""
        begun = self._runs.begun_runs()
        live = [run for run in begun if run.status not in DONE]
        seen = {run.id for run in live if self._is_seen(run)}
        self._watch(begun)
        self._inspect("adopt", [run for run in live if run.id in seen])
        self._inspect("end or undo", [run for run in live if run.id not in seen])
        self._guarded("drain", self._drain)
        self._inspect("finish", [run for run in begun if run.status in DONE])
        for clear in self._clearings:
            if count := self._guarded("clear", partial(clear, self._is_over)):
                log.info("left_folders_deleted", count=count)
        log.info("runs_taken_over", count=len(begun), as_of=now)
        return len(begun)

    def _is_over(self, run_id: str) -> bool:
        run = self._runs.find(run_id)
        return run is not None and run.released_at is not None

    def _is_seen(self, run: Run) -> bool:
        inspect = partial(self._engine.inspect, run.id, run.supervisor)
        observation = self._guarded("inspect", inspect, run_id=run.id)
        return observation is not None and bool(observation.alive)

    def _watch(self, runs: Iterable[Run]) -> None:
        for run in runs:
            watch = partial(self._engine.watch, run.id, run.supervisor)
            self._guarded("watch", watch, run_id=run.id)

    def _inspect(self, step: str, runs: Iterable[Run]) -> None:
        for run in runs:
            duty = "settle" if run.status in DONE else "look"
            look = partial(self._reaper.reap_once, run.id)
            self._quarantine.guard(of_run(duty, run), lambda look=look: look() or None)

    def _drain(self) -> None:
        # processes first: a run is open before its process exists
        carried = self._engine.owned()
        # only their runs are read: however many wait, those have no process
        known = self._runs.find_all(carried)
        for run_id in carried:
            run = known.get(run_id)
            if run is not None and run.released_at is None:
                continue
            log.warning("stray_processes_ended", run_id=run_id)
            end = partial(self._engine.kill, run_id, run.supervisor if run else None)
            self._guarded("end", end, run_id=run_id)

    def _guarded(self, step: str, duty: Callable[[], _T], **ids: str) -> _T | None:
        with bound_contextvars(step=step, **ids):
            return guarded(duty)
