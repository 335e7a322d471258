"""One tick: look at every run that has begun, then start what may. Single-flight, never lost."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from app.domain.lifecycle import DONE, Signal
from app.domain.words import Cause, Status
from app.records.runs import run_ledger
from app.records.runs.selections import OpenRuns
from app.records.tables import Run
from app.services.batches.queue import BatchLine
from app.services.concurrency import Workers
from app.services.context import Ledgers
from app.services.lifecycle.launch import Launcher
from app.services.lifecycle.reap import Reaper
from app.services.limits.usage_limits import UsageLimits
from app.services.system.origin_watch import unreachable_words
from app.services.system.ownership import Tenure
from app.services.system.quarantine import Quarantine, of_run

log = logging.getLogger(__name__)
LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Swept:
    """What one tick did."""

    looked_at: int
    taken: int


class Sweep:
    """The scheduler's one duty; whoever asks while it runs makes it go round once more."""

    def __init__(
        self,
        ledgers: Ledgers,
        reaper: Reaper,
        launcher: Launcher,
        workers: Workers,
        tenure: Tenure,
        limits: UsageLimits,
        clock: Callable[[], datetime],
        max_live_runs: int,
        resume: Callable[[datetime], int],
        fill_auto: Callable[[datetime], int],
        call_at: Callable[[datetime, Callable[[], None]], None],
        batches: BatchLine,
        quarantine: Quarantine,
        call_sweeper: Callable[[bool], None],
        no_room: Callable[[], str | None],
    ) -> None:
        self._runs = ledgers.runs
        self._open_runs = OpenRuns(ledgers.runs.stores)
        self._projects = ledgers.projects
        self._reaper = reaper
        self._launcher = launcher
        self._workers = workers
        self._tenure = tenure
        self._limits = limits
        self._clock = clock
        self._max_live_runs = max_live_runs
        self._resume = resume
        self._fill_auto = fill_auto
        self._call_at = call_at
        self._batches = batches
        self._quarantine = quarantine
        self._call_sweeper = call_sweeper
        self._no_room = no_room
        self._guard = threading.Lock()
        self._is_open = False
        self._is_running = False
        self._wanted: set[str] = set()
        # whole ticks since the start that came to their end
        self.done = 0
        # when the next fill is arranged for, at the latest
        self._next_at: datetime | None = None

    def open(self) -> None:
        """Begin: what is asked for before is kept until a start has taken over what there was."""
        with self._guard:
            self._is_open = True
            wanted = bool(self._wanted)
        if wanted:
            self._ask("queue")

    def request(self) -> None:
        """A whole tick soon, of this server and of the one whose loop starts runs."""
        self.request_here()
        self._call_sweeper(True)

    def request_fill(self) -> None:
        """Only start what may start, soon, here and at the server whose loop starts runs."""
        self.request_fill_here()
        self._call_sweeper(False)

    def request_here(self) -> None:
        """A whole tick of this server alone, soon."""
        self._ask("tick")

    def request_fill_here(self) -> None:
        """Only start what this server may start, soon."""
        self._ask("fill")

    def request_queue(self) -> None:
        """Only let waiting runs go on, soon: nothing has become free that the loop could use."""
        self._ask("queue")

    def expect(self, run: Run) -> None:
        """Let a run that was just accepted go on as soon as it may."""
        if run.status != Status.DELAYED or run.due_at is None:
            self.request_queue()
            return
        with self._guard:
            self._fill_by([run.due_at])

    def tick_once(self, now: datetime) -> Swept:
        """Look at every run that has begun, then start what may start.

        What takes longer than a moment to look at does not keep the others waiting.
        """
        self._quarantine.refresh()
        looks = [partial(self._look_at, run) for run in self._runs.begun_runs()]
        self._workers.do_all(looks, LOOK_SECONDS, afterwards=self.request_fill)
        # not at every fill: an end that fails has its run looked at, and a look asks for a fill
        self._batches.end_left_behind()
        return Swept(len(looks), self.fill_once(now))

    def fill_once(self, now: datetime, *, with_loop: bool = True) -> int:
        """Start what may start: resumes first, then what people asked for, then the loop's."""
        self._end_late_launches(now)
        try:
            self._resume(now)
            taken = self._fill_from_queue(now)
            # what the loop adds could start at once: it is taken in the same round
            # the looks took their time: whether this server still sweeps is asked as of now
            adds = with_loop and self._fill_auto(self._clock())
            return taken + (self._fill_from_queue(now) if adds else 0)
        finally:
            self._remember_next_moment(now)

    def _fill_from_queue(self, now: datetime) -> int:
        # what people asked for one by one goes before the many of a batch
        taken = sum(bool(self._guarded_start(run, now)) for run in self._runs.waiting(now))
        return taken + self._batches.fill(now, lambda run: self._guarded_start(run, now))

    def _guarded_start(self, run: Run, now: datetime) -> bool | None:
        return self._quarantine.guard(of_run("start", run), lambda: self._start(run, now))

    def _start(self, run: Run, now: datetime) -> bool:
        """Let a waiting run go on if it may; True where it was taken."""
        if run.status == Status.DELAYED:
            with self._runs.stores.owner_of(run.id).transaction() as tx:
                run = self._runs.fall_due(tx, run, now) or run
        if run.status != Status.QUEUED or self._end_unstarted(run, now):
            return False
        return self._take(run, now)

    def _end_late_launches(self, now: datetime) -> None:
        for run in self._open_runs.starting():
            if self._launcher.launch_by(run) <= now:
                late = partial(self._end_late_launch, run, now)
                self._quarantine.guard(of_run("launch", run), late)

    def _end_late_launch(self, run: Run, now: datetime) -> bool:
        # an agent may be there although nobody wrote it down: then its launch is not late
        self._look_at(run)
        if self._tenure.may_judge(run, now) and self._launcher.end_late(run):
            self._workers.submit(self._undo_late_launch, run)
        return True

    def _undo_late_launch(self, run: Run) -> None:
        # its launch may be waiting for a setup command; where nobody launches it, the look undoes
        self._launcher.halt(run.id)
        self._look_at(run)

    def _remember_next_moment(self, now: datetime) -> None:
        """Have the next fill at the moment when something is due, not at the next tick."""
        with self._guard:
            self._next_at = None  # who is accepted while the table is read is expected again
        starting = self._open_runs.starting()
        moments: list[datetime | None] = [self._launcher.launch_by(run) for run in starting]
        moments += [self._open_runs.next_of_waiting(now), *self._limits.moments(now)]
        ahead = [moment for moment in moments if moment is not None and moment > now]
        with self._guard:
            self._fill_by(ahead)

    def _fill_by(self, moments: list[datetime]) -> None:
        soonest = min(moments, default=None)
        if soonest is not None and (self._next_at is None or soonest < self._next_at):
            self._next_at = soonest
            self._call_at(soonest, self.request_fill_here)

    def _ask(self, what: str) -> None:
        with self._guard:
            self._wanted.add(what)
            if self._is_running or not self._is_open:
                return
            self._is_running = True
        self._workers.submit(self._go_round)

    def _go_round(self) -> None:
        while True:
            with self._guard:
                wanted, self._wanted = self._wanted, set()
                if not wanted:
                    self._is_running = False
                    return
            try:
                if "tick" in wanted:
                    self.tick_once(self._clock())
                    self.done += 1
                else:
                    self.fill_once(self._clock(), with_loop="fill" in wanted)
            except Exception:
                log.exception("a sweep failed; the next one tries again")

    def _look_at(self, run: Run) -> None:
        # what comes after its end is a duty of its own: a Stop ends what cannot be judged
        subject = of_run("settle" if run.status in DONE else "look", run)
        self._quarantine.guard(subject, lambda: self._reaper.reap_once(run.id) or None)

    def _take(self, run: Run, now: datetime) -> bool:
        hold, is_taken = self._project_hold(run), False
        if hold is None:
            # promised first: from the commit on, another tick may meet the run
            self._launcher.promise(run.id)
            try:
                is_taken, hold = self._take_slot(run, now)
            finally:
                if not is_taken:
                    self._launcher.take_back(run.id)
        if is_taken:
            self._workers.submit(self._launch, run)
        elif hold is not None:
            self._runs.note_hold(run, hold)
        return is_taken

    def _take_slot(self, run: Run, now: datetime) -> tuple[bool, str | None]:
        """Whether the run was taken, and what holds it where there was no slot."""
        with self._runs.stores.spanning(run.id, "take") as tx:
            live = run_ledger.count_live(tx)
            if live >= self._max_live_runs:
                return False, (
                    f"waits for a free slot: {live} of {self._max_live_runs} runs are live"
                )
            if held := self._batches.no_room(tx, run) or self._limits.take(tx, run, now):
                return False, held
            moved = self._runs.move(
                tx,
                run,
                Signal.TAKEN,
                now=now,
                kind="taken",
                sentence="taken from the queue",
                taken_at=now,
                hold=None,
                **self._tenure.marks(),
            )
        return moved is not None, None

    def _launch(self, run: Run) -> None:
        is_launched = False
        try:
            is_launched = self._launcher.launch_once(run.id)
        finally:
            if not is_launched:
                self._look_at(run)
                # its slot is for who waits; the loop comes again with its own next round, or it
                # would try an issue whose launch fails without end
                self._ask("queue")

    def _project_hold(self, run: Run) -> str | None:
        project = self._projects.find(run.project_id)
        if project is not None and project.state == "cloning":
            return "the repository is being cloned"
        return (project and unreachable_words(project)) or self._no_room()

    def _end_unstarted(self, run: Run, now: datetime) -> bool:
        """End a queued run that can never start; False where it still may."""
        if run.expires_at is not None and run.expires_at <= now:
            because = "it was not started in the time it was given"
            self._end(run, Signal.TTL_OVER, now, Cause.TTL, because)
            return True
        project = self._projects.find(run.project_id)
        if project is not None and project.state != "broken":
            return False
        because = "the repository could not be cloned"
        if project is not None and project.state_because:
            because += f": {project.state_because}"
        self._end(run, Signal.REFUSED, now, Cause.LAUNCH_FAILED, because)
        return True

    def _end(self, run: Run, signal: Signal, now: datetime, cause: Cause, because: str) -> None:
        columns: dict[str, Any] = {"cause": cause, "because": because, "hold": None}
        if run.server is None:
            columns["released_at"] = now
        self._move(run, signal, now, "reaped", because, **columns)
        if run.server is not None:
            # it waited again with another run's work: it is released when that is settled
            self._reaper.reap_once(run.id)

    def _move(
        self, run: Run, signal: Signal, now: datetime, kind: str, sentence: str, **columns: Any
    ) -> Run | None:
        with self._runs.stores.owner_of(run.id).transaction() as tx:
            return self._runs.move(
                tx, run, signal, now=now, kind=kind, sentence=sentence, **columns
            )
