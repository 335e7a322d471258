"""The deliveries of ended agents, each in a worker: no sweep ever waits for a network."""

from __future__ import annotations

from collections.abc import Callable

from app.domain.lifecycle import Signal
from app.domain.rules import Verdict
from app.domain.words import Cause, Status
from app.records.tables import Project, Run
from app.services.delivery import Deliverer, NotDelivered
from app.services.floor import Ledgers
from app.services.quarantine import Quarantine, of_run
from app.services.run_locks import Locks
from app.services.settlement import delivery_columns
from app.services.verdicts import Line, Verdicts
from app.services.workers import Workers


class Deliveries:
    """One worker per run that is delivered; it holds the run's lock, so that a Stop waits for it.

    `again` is told of each run whose delivery has come to an answer, or to none.
    """

    def __init__(
        self,
        ledgers: Ledgers,
        deliverer: Deliverer,
        verdicts: Verdicts,
        locks: Locks,
        workers: Workers,
        again: Callable[[str], None],
        quarantine: Quarantine,
    ) -> None:
        self._runs = ledgers.runs
        self._projects = ledgers.projects
        self._deliverer = deliverer
        self._verdicts = verdicts
        self._locks = locks
        self._workers = workers
        self._again = again
        self._quarantine = quarantine
        self._begun: set[str] = set()

    def begin(self, run: Run) -> None:
        """Deliver the run's commits soon, if no pause and no other delivery of it is under way."""
        is_free = not self._quarantine.is_held(of_run("delivery", run).key)
        if is_free and run.id not in self._begun and self._deliverer.is_due(run.id):
            self._begun.add(run.id)
            self._workers.carry_on(self._deliver, run.id)

    def forget(self, run_id: str) -> None:
        """Nothing of this run will be delivered any more."""
        self._deliverer.forget(run_id)

    def _deliver(self, run_id: str) -> None:
        try:
            with self._locks.holding(run_id):
                run = self._runs.find(run_id)
                project = self._projects.find(run.project_id) if run else None
                # a Stop may have come before the push
                if run is not None and project is not None and run.status == Status.DELIVERING:
                    self._try(run, project)
        finally:
            self._begun.discard(run_id)
        # what follows from it, and whatever looked meanwhile and was put off
        self._again(run_id)

    def _try(self, run: Run, project: Project) -> None:
        try:
            self._write(run, project)
        except Exception as problem:
            self._deliverer.put_off(run)
            self._quarantine.count(of_run("delivery", run), problem)

    def _write(self, run: Run, project: Project) -> None:
        outcome = self._deliverer.deliver(run, project)
        if not isinstance(outcome, NotDelivered):
            verdict = Verdict(Signal.DELIVERED, Cause.DELIVERED, f"delivered #{outcome.number}")
            line = Line("delivered", f"change request #{outcome.number} opened")
            self._verdicts.write(run, verdict, line, **delivery_columns(outcome))
        elif outcome.for_good:
            verdict = Verdict(Signal.PUSH_REFUSED, outcome.cause, outcome.because)
            self._verdicts.write(run, verdict, Line("reaped", outcome.because))
