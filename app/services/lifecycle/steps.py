"""Later steps of a run: each is begun at most once, after the one before it is proved gone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.failpoints import failpoint
from app.records.runs.check_ledger import CheckLedger
from app.records.tables import Run
from app.services.context import Context
from app.services.lifecycle.finalize import TIDYING, append_unreadable_records
from app.services.lifecycle.rollback import UNPROVED
from app.services.ports import LaunchOrder, Observation, Step, ended, step_of

# seconds that an overdue supervisor gets before its server kills the run
OVERDUE_SECONDS = 30


class NotWanted(Exception):
    """Raised if the run was stopped, or taken over by another server, before its step began."""


class Steps:
    """Starts, inspects and ends the steps of a run; the caller holds the run's lock."""

    def __init__(self, context: Context, checks: CheckLedger) -> None:
        self._runs = context.ledgers.runs
        self._checks = checks
        self._engine = context.adapters.engine
        self._workers = context.workers
        self._clock = context.clock
        self._inspect_run = context.inspect_run
        self._ending: set[str] = set()

    def has_begun(self, run: Run, step: Step, observation: Observation) -> bool:
        """Return False if nothing of this step can have begun; the last one is `observation`."""
        if step_of(run.supervisor) != step:
            return False
        # a supervisor that was never told to begin leaves no sign of an agent or a check
        return not observation.tree_gone or observation.mark is not None

    def must_be_gone(self, run: Run, observation: Observation) -> bool:
        """Return True if the newest step is proved gone; otherwise end what is left of it."""
        if observation.has_untrue_records:
            append_unreadable_records(self._runs, run, self._clock())
        if run.id in self._ending:
            return False  # a kill that is still to come would end the next step
        if observation.tree_gone:
            return True
        is_due = observation.exit is not None or observation.alive is False
        is_overdue = (observation.overrun or 0) >= OVERDUE_SECONDS
        if (is_due and not self._is_tidying(observation)) or is_overdue:
            self.end(run)
        return False

    def end(self, run: Run) -> None:
        """Kill the newest step on a worker; the run is inspected afterwards."""
        if run.id not in self._ending:
            self._ending.add(run.id)
            self._workers.carry_on(self._end, run)

    def launch(self, run: Run, order: LaunchOrder) -> None:
        """Begin a step. Raises NotWanted and what the engine raises."""

        def keep(kept: Mapping[str, Any]) -> None:
            if not self._checks.keep(run, kept):
                raise NotWanted
            failpoint("step.after_keep")

        failpoint("step.before_launch")
        launched = self._engine.launch(order, keep)
        failpoint("step.after_launch")
        keep(launched.kept)
        self._engine.watch(run.id, launched.kept)

    def hold(self, run: Run, because: str) -> Run:
        """Say why the run waits, and return it."""
        self._runs.set_hold(run, because)
        return run

    def now(self) -> datetime:
        """Return the time (UTC)."""
        return self._clock()

    def left(self, run: Run) -> float:
        """Return the seconds that are left of the run's time."""
        if run.deadline is None:
            return float(run.budget_seconds)
        return (run.deadline - self._clock()).total_seconds()

    def _is_tidying(self, observation: Observation) -> bool:
        # its supervisor is ending what is left, and reports when done
        at = observation.exit.at if observation.exit else None
        return bool(observation.alive) and at is not None and abs(self._clock() - at) < TIDYING

    def _end(self, run: Run) -> None:
        try:
            if not self._engine.kill(run.id, run.supervisor):
                self._runs.set_hold(run, UNPROVED)
                return
            # a killed supervisor leaves no record of its end
            self._runs.record_proof(run, ended(run.supervisor))
        finally:
            self._ending.discard(run.id)
        self._inspect_run(run.id)
