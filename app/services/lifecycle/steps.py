"""Steps of a run: each begins at most once, after the one before it is proved gone."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from app.failpoints import failpoint
from app.records.runs.check_ledger import CheckLedger
from app.records.runs.run_ledger import RunLedger
from app.records.tables import Run
from app.services.context import Context
from app.services.ports import LaunchOrder, NotYet, Observation, Step, ended, step_of

UNPROVED = "Couldn't confirm that its processes have exited"
RECORD_CHANGED = (
    "a record of its processes was changed while the run was going, and is not believed"
)
TIDYING = timedelta(seconds=30)
# seconds that an overdue supervisor gets before its server kills the run
OVERDUE_SECONDS = 30


def append_unreadable_records(runs: RunLedger, run: Run, now: datetime) -> None:
    """Note once on the timeline that the records of a run's processes were tampered with."""
    if not any(line.sentence == RECORD_CHANGED for line in runs.timeline(run.id)):
        runs.append_event_once(run.id, now, "note", RECORD_CHANGED)


def is_tidying(observation: Observation, since: datetime | None, now: datetime) -> bool:
    """Return True if a supervisor is ending what its command, which ended at `since`, has left.

    It reports when it is done, and gets 30 s for that.
    """
    is_at_it = observation.exit is not None and bool(observation.alive)
    # abs: with a clock set back, a process that never ends must not be spared for ever
    return is_at_it and since is not None and abs(now - since) < TIDYING


class NotWanted(Exception):
    """Raised if the run was stopped, or taken over by another server, before its step began."""


class Kills:
    """Ends what is left of runs; a kill never meets a later step than the one it was meant for.

    All of a run's steps carry the same marks, and a kill ends whatever carries them. So no step
    begins while a kill is under way, on this server or on another one of the same runs, and a kill
    whose run has moved on does nothing. The run's lock stays free meanwhile: a kill can take long.
    """

    def __init__(self, context: Context) -> None:
        self._runs = context.ledgers.runs
        self._engine = context.adapters.engine
        self._workers = context.workers
        self._locks = context.locks
        self._clock = context.clock
        self._inspect_run = context.inspect_run
        self._under_way: set[str] = set()

    def begin(self, run: Run, sentence: str = "") -> None:
        """Kill the step that `run` was read in, on a worker; the run is inspected afterwards.

        The `sentence` goes to the timeline, once in each turn. The caller holds the run's lock.
        """
        if run.id not in self._under_way:
            self._under_way.add(run.id)
            self._workers.carry_on(self._kill, run, sentence)

    def is_under_way(self, run_id: str) -> bool:
        """Return True from the decision on this server to kill until that is done."""
        return run_id in self._under_way

    @contextmanager
    def ruled_out(self, run_id: str) -> Generator[bool]:
        """Let no kill of this run begin; yield False if one is under way."""
        with self._locks.holding(f"kill {run_id}", wait=False) as is_free:
            yield is_free and not self.is_under_way(run_id)

    def _kill(self, run: Run, sentence: str) -> None:
        try:
            with self._locks.holding(f"kill {run.id}", wait=False) as is_free:
                # else another server kills it, or begins its next step
                is_done = is_free and self._kill_step(run, sentence)
        finally:
            self._under_way.discard(run.id)
        if is_done:
            self._inspect_run(run.id)

    def _kill_step(self, run: Run, sentence: str) -> bool:
        """Kill a step unless its run has moved on; return False if its end is not proved."""
        latest = self._runs.find(run.id)
        if latest is None or (latest.supervisor, latest.server) != (run.supervisor, run.server):
            return True
        if sentence and not self._is_told(run):
            now, turn = self._clock(), run.turn
            self._runs.append_event_once(run.id, now, "kill_sent", sentence, turn=turn)
        if not self._engine.kill(run.id, run.supervisor):
            self._runs.set_hold(latest, UNPROVED)
            return False
        # a killed supervisor leaves no record of its end
        self._runs.record_proof(run, ended(run.supervisor))
        return True

    def _is_told(self, run: Run) -> bool:
        timeline = self._runs.timeline(run.id)
        return any(it.kind == "kill_sent" and it.data.get("turn", 1) == run.turn for it in timeline)


class Steps:
    """Starts, inspects and ends the steps of a run; the caller holds the run's lock."""

    def __init__(self, context: Context, checks: CheckLedger, kills: Kills) -> None:
        self._runs = context.ledgers.runs
        self._checks = checks
        self._engine = context.adapters.engine
        self._clock = context.clock
        self._kills = kills

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
        if self._kills.is_under_way(run.id):
            return False
        if observation.tree_gone:
            return True
        is_due = observation.exit is not None or observation.alive is False
        is_overdue = (observation.overrun or 0) >= OVERDUE_SECONDS
        since = observation.exit.at if observation.exit else None
        if (is_due and not is_tidying(observation, since, self._clock())) or is_overdue:
            self._kills.begin(run)
        return False

    def launch(self, run: Run, order: LaunchOrder) -> None:
        """Begin a step. Raises NotWanted, NotYet and what else the engine raises."""

        def keep(kept: Mapping[str, Any]) -> None:
            if not self._checks.keep(run, kept):
                raise NotWanted
            failpoint("step.after_keep")

        failpoint("step.before_launch")
        with self._kills.ruled_out(run.id) as is_safe:
            if not is_safe:
                raise NotYet("the step before it is still being ended")
            launched = self._engine.launch(order, keep)
        failpoint("step.after_launch")
        keep(launched.kept)
        self._engine.watch(run.id, launched.kept)

    def left(self, run: Run) -> float:
        """Return the seconds that are left of the run's time."""
        if run.deadline is None:
            return float(run.budget_seconds)
        return (run.deadline - self._clock()).total_seconds()
