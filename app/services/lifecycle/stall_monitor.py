"""Watching over agents that live: what is said of their silence, and the next look at each."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from app.domain.agents.liveness import Vitals, next_look, quiet_words
from app.records.runs.run_ledger import RunLedger
from app.records.tables import Run
from app.services.concurrency import Workers
from app.services.lifecycle.rollback import UNPROVED
from app.services.ports import Engine, ended
from app.services.runs.agent_reports import Reporter

log = logging.getLogger(__name__)
# a wall clock that goes on by so many seconds without us was set, or the machine slept
SLIP_SECONDS = 5.0


@dataclass(frozen=True)
class Clocks:
    """What tells time, and what calls at a moment; one call waits for each name.

    `slip` is by how many seconds the wall clock is ahead of the one that counts waking time.
    """

    now: Callable[[], datetime]
    slip: Callable[[], float]
    call_at: Callable[[str, datetime, Callable[[], None]], None]


class Vigil:
    """Keeps an eye on agents that live; what follows from it, the reaper decides."""

    def __init__(
        self,
        runs: RunLedger,
        engine: Engine,
        reporter: Reporter,
        workers: Workers,
        clocks: Clocks,
        again: Callable[[str], None],
    ) -> None:
        self._runs = runs
        self._engine = engine
        self._reporter = reporter
        self._workers = workers
        self._clocks = clocks
        self._again = again
        self._slip = clocks.slip()
        self._not_before: datetime | None = None
        self._due: dict[str, datetime] = {}
        self._last: dict[str, datetime] = {}
        self._ending: set[str] = set()

    def vitals_of(self, run: Run) -> Vitals | None:
        """How the agent of a live run is; None where that cannot be told just now."""
        self._forgive_lost_time()
        vitals, since = self._reporter.vitals(run), self._not_before
        if vitals is None or since is None:
            return vitals
        return replace(
            vitals,
            output_at=max(vitals.output_at, since),
            progress_at=max(vitals.progress_at, since),
            word_at=max(vitals.word_at, since) if vitals.word_at else None,
        )

    def keep(self, run: Run, vitals: Vitals, stall_seconds: int | None) -> None:
        """Say what a person is to know of an agent that goes on living, and look again in time."""
        now = self._clocks.now()
        words = quiet_words(vitals, stall_seconds, now)
        self._reporter.note_quiet(run.id, is_quiet=words is not None)
        if words != run.hold:
            self._runs.note(run.id, run.project_id, hold=words)
        due, asked = next_look(vitals, stall_seconds, now), self._due.get(run.id)
        if asked is None or asked <= now or due < asked:
            self._due[run.id] = due
            look = partial(self._workers.submit, self._again, run.id)
            self._clocks.call_at(f"look at {run.id}", due, look)

    def expect(self, run: Run, seconds: float) -> None:
        """Look again when its supervisor has had all the time it may have for its end."""
        due, asked = self._clocks.now() + timedelta(seconds=seconds), self._last.get(run.id)
        # where the clock was set meanwhile, the moment is another one
        if asked is None or abs(due - asked) > timedelta(seconds=1):
            self._last[run.id] = due
            look = partial(self._workers.submit, self._again, run.id)
            self._clocks.call_at(f"deadline of {run.id}", due, look)

    def end(self, run: Run) -> None:
        """End the processes of an agent that is done and does not exit; then it is judged."""
        if run.id not in self._ending:
            self._ending.add(run.id)
            self._workers.carry_on(self._end, run)

    def forget(self, run_id: str) -> None:
        """The agent of this run is no more."""
        self._due.pop(run_id, None)
        self._last.pop(run_id, None)
        self._reporter.note_quiet(run_id, is_quiet=False)

    def _end(self, run: Run) -> None:
        try:
            sentence = "it has said its last word and does not exit: ending what is left of it"
            self._runs.tell_once(run.id, self._clocks.now(), "kill_sent", sentence)
            if not self._engine.kill(run.id, run.supervisor):
                self._runs.note_hold(run, UNPROVED)
                return
            # a supervisor that had to be killed leaves no word of it
            self._runs.note(run.id, run.project_id, supervisor=ended(run.supervisor))
        finally:
            self._ending.discard(run.id)
        self._again(run.id)

    def _forgive_lost_time(self) -> None:
        # nobody could write while the machine slept, and no clock that is set makes a silence
        slip, before = self._clocks.slip(), self._slip
        self._slip = slip
        if slip - before > SLIP_SECONDS:
            self._not_before = self._clocks.now()
