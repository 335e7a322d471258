"""The sweep: one tick checks every begun run, then starts what may start; never two at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Unpack

from app.domain.lifecycle import DONE, Signal
from app.domain.words import Cause, Status
from app.records.feed import (
    BatchSealed,
    Numbered,
    ObstacleRemoved,
    RunAccepted,
    StartMoved,
    SweepWanted,
)
from app.records.runs import run_ledger
from app.records.runs.run_columns import RunColumns
from app.records.runs.selections import OpenRuns
from app.records.tables import Run
from app.services.batches.queue import BatchLine
from app.services.concurrency import SingleFlight
from app.services.context import Context
from app.services.kept.resume import ResumeService
from app.services.lifecycle.launch import Launcher
from app.services.lifecycle.reap import Reaper
from app.services.limits.usage_limits import UsageLimits
from app.services.system.build import SystemServices
from app.services.system.origin_watch import unreachable_words
from app.services.system.quarantine import of_run

LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Swept:
    """The counts of one tick."""

    looked_at: int
    taken: int


@dataclass(frozen=True)
class Starts:
    """The sources of a sweep's runs beside the queue and the auto loop."""

    resume: ResumeService
    batches: BatchLine


class Sweep:
    """The scheduler's one duty; a request during a tick causes another one afterwards."""

    def __init__(
        self,
        context: Context,
        system: SystemServices,
        reaper: Reaper,
        launcher: Launcher,
        limits: UsageLimits,
        fill_auto: Callable[[datetime], int],
        starts: Starts,
    ) -> None:
        self._runs = context.ledgers.runs
        self._open_runs = OpenRuns(context.stores)
        self._projects = context.ledgers.projects
        self._reaper = reaper
        self._launcher = launcher
        self._workers = context.workers
        self._ownership = system.ownership
        self._limits = limits
        self._clock = context.clock
        self._max_live_runs = context.settings.max_live_runs
        self._outbox = system.outbox
        self._resume = starts.resume
        self._batches = starts.batches
        self._fill_auto = fill_auto
        self._call_at = partial(context.call_at, name="sweep")
        self._publish = context.feed.publish
        self._leases = system.leases
        self._quarantine = system.quarantine
        self._no_room = system.disk.hold
        self._guard = threading.Lock()
        self._is_open = False
        self._rounds = SingleFlight(self._go_round)
        self._wanted: set[str] = set()
        # ticks completed since the server started
        self.done = 0
        # time of the earliest scheduled fill
        self._next_at: datetime | None = None

    def open(self) -> None:
        """Begin to serve requests; those made during recovery were kept."""
        with self._guard:
            self._is_open = True
            wanted = bool(self._wanted)
        if wanted:
            self._ask("queue")

    def request(self) -> None:
        """Request a tick, here and on the server that runs the loop."""
        self.request_here()
        self._call_sweeper(True)

    def request_fill(self) -> None:
        """Request a fill without checks of runs, here and on the server that runs the loop."""
        self.request_fill_here()
        self._call_sweeper(False)

    def request_here(self) -> None:
        """Request a tick on this server only."""
        self._ask("tick")

    def request_fill_here(self) -> None:
        """Request a fill on this server only."""
        self._ask("fill")

    def request_queue(self) -> None:
        """Request a fill of queued runs only: nothing was freed that the loop could use."""
        self._ask("queue")

    def on_change(self, one: Numbered) -> None:
        """Start what a change of the feed lets start."""
        match one.change:
            case RunAccepted(_, None) | StartMoved(_, None) | BatchSealed():
                self.request_queue()
            case RunAccepted(_, starts_at) | StartMoved(_, starts_at) if starts_at is not None:
                with self._guard:
                    self._fill_by([starts_at])
            case ObstacleRemoved():
                self.request_here()
                # the feed is held while it calls its listeners, which cannot publish
                self._workers.submit(self._call_sweeper, True)
            case _:
                pass

    def tick_once(self, now: datetime) -> Swept:
        """Check every begun run, then start what may start.

        A check that takes more than LOOK_SECONDS does not delay the others.
        """
        self._quarantine.refresh()
        looks = [partial(self._inspect, run) for run in self._runs.begun_runs()]
        self._workers.do_all(looks, LOOK_SECONDS, afterwards=self.request_fill)
        # not at every fill: a failing end causes a check, and a check requests a fill
        self._batches.end_left_behind()
        return Swept(len(looks), self.fill_once(now))

    def fill_once(self, now: datetime, *, with_loop: bool = True) -> int:
        """Start what may start: resumes first, then requests of people, then the loop's."""
        self._end_late_launches(now)
        try:
            # effects of ended runs that still wait decide what may start
            self._outbox.catch_up()
            self._resume.continue_once(now)
            taken = self._fill_from_queue(now)
            # fill again: runs that the loop adds may start at once. The clock is read anew because
            # the checks took time and the sweep lease may have moved.
            adds = with_loop and self._fill_auto(self._clock())
            return taken + (self._fill_from_queue(now) if adds else 0)
        finally:
            self._remember_next_moment(now)

    def _fill_from_queue(self, now: datetime) -> int:
        # single requests go before batch items
        taken = sum(bool(self._guarded_start(run, now)) for run in self._runs.waiting(now))
        return taken + self._batches.fill(now, lambda run: self._guarded_start(run, now))

    def _guarded_start(self, run: Run, now: datetime) -> bool | None:
        return self._quarantine.guard(of_run("start", run), lambda: self._start(run, now))

    def _start(self, run: Run, now: datetime) -> bool:
        """Start a waiting run if it may start; return True if it was taken."""
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
        # the agent may be running without being recorded: then the launch is not late
        self._inspect(run)
        if self._ownership.may_judge(run, now) and self._launcher.end_late(run):
            self._workers.submit(self._undo_late_launch, run)
        return True

    def _undo_late_launch(self, run: Run) -> None:
        # the launch may be blocked on a setup command; without a launch, the check rolls it back
        self._launcher.halt(run.id)
        self._inspect(run)

    def _remember_next_moment(self, now: datetime) -> None:
        """Schedule the next fill for when something is due, not for the next tick."""
        with self._guard:
            self._next_at = None  # runs accepted during these reads schedule their own fill
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

    def _call_sweeper(self, whole: bool) -> None:
        """Ask the server that runs the loop, if it is another one."""
        if not self._leases.may_sweep(self._clock()):
            self._publish([SweepWanted(whole)])

    def _ask(self, what: str) -> None:
        with self._guard:
            self._wanted.add(what)
            if not self._is_open:
                return
        self._rounds.request(self._workers)

    def _go_round(self, _: str) -> None:
        with self._guard:
            wanted, self._wanted = self._wanted, set()
        if "tick" in wanted:
            self.tick_once(self._clock())
            self.done += 1
        elif wanted:
            self.fill_once(self._clock(), with_loop="fill" in wanted)

    def _inspect(self, run: Run) -> None:
        # settling is a separate duty: a Stop can still end a run that cannot be judged
        subject = of_run("settle" if run.status in DONE else "look", run)
        self._quarantine.guard(subject, lambda: self._reaper.reap_once(run.id) or None)

    def _take(self, run: Run, now: datetime) -> bool:
        hold, is_taken = self._project_hold(run), False
        if hold is None:
            # announced first: after the commit another tick may find the run
            self._launcher.promise(run.id)
            try:
                is_taken, hold = self._take_slot(run, now)
            finally:
                if not is_taken:
                    self._launcher.withdraw(run.id)
        if is_taken:
            self._workers.submit(self._launch, run)
        elif hold is not None:
            self._runs.set_hold(run, hold)
        return is_taken

    def _take_slot(self, run: Run, now: datetime) -> tuple[bool, str | None]:
        """Return whether the run was taken, and the hold if there was no slot."""
        with self._runs.stores.spanning(run.id, "take") as tx:
            live = run_ledger.count_live(tx)
            if live >= self._max_live_runs:
                return False, (
                    f"waits for a free slot: {live} of {self._max_live_runs} runs are live"
                )
            if held := self._batches.no_room(tx, run) or self._limits.take(tx, run, now):
                return False, held
            columns: RunColumns = {**self._ownership.marks(), "taken_at": now, "hold": None}
            moved = self._runs.move(
                tx,
                run,
                Signal.TAKEN,
                now=now,
                kind="taken",
                sentence="taken from the queue",
                **columns,
            )
        return moved is not None, None

    def _launch(self, run: Run) -> None:
        is_launched = False
        try:
            is_launched = self._launcher.launch_once(run.id)
        finally:
            if not is_launched:
                self._inspect(run)
                # give the slot to queued runs only: asking the loop, too, would retry a failing
                # issue without end
                self._ask("queue")

    def _project_hold(self, run: Run) -> str | None:
        project = self._projects.find(run.project_id)
        if project is not None and project.state == "cloning":
            return "the repository is being cloned"
        return (project and unreachable_words(project)) or self._no_room()

    def _end_unstarted(self, run: Run, now: datetime) -> bool:
        """End a queued run that can never start; return False if it still may."""
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
        columns: RunColumns = {"cause": cause, "because": because, "hold": None}
        if run.server is None:
            columns["released_at"] = now
        self._move(run, signal, now, "reaped", because, **columns)
        if run.server is not None:
            # a requeued run that holds another run's work is released once that is settled
            self._reaper.reap_once(run.id)

    def _move(
        self,
        run: Run,
        signal: Signal,
        now: datetime,
        kind: str,
        sentence: str,
        **columns: Unpack[RunColumns],
    ) -> Run | None:
        with self._runs.stores.owner_of(run.id).transaction() as tx:
            return self._runs.move(
                tx, run, signal, now=now, kind=kind, sentence=sentence, **columns
            )
