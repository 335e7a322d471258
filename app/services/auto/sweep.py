"""The sweep: one tick checks every begun run, then starts what may start; never two at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from time import monotonic

from app.domain.lifecycle import DONE
from app.records.feed import (
    BatchSealed,
    Numbered,
    ObstacleRemoved,
    RunAccepted,
    StartMoved,
    SweepWanted,
)
from app.records.runs.due_work import DueWork, read_due_work
from app.records.runs.selections import OpenRuns
from app.records.tables import Run
from app.services.auto.starts import Starter
from app.services.auto.waiting_line import WaitingLine
from app.services.batches.queue import BatchLine
from app.services.concurrency import SingleFlight
from app.services.context import Context
from app.services.kept.resume import ResumeService
from app.services.lifecycle.launch import Launcher
from app.services.lifecycle.reap import Reaper
from app.services.limits.usage_limits import UsageLimits
from app.services.system.build import SystemServices
from app.services.system.quarantine import of_run

LOOK_SECONDS = 1.0
# between two looks at the queue for accepted runs alone; those accepted meanwhile share one
APART_SECONDS = 0.05
# from an accept until the look at it, so that the accept is answered first
ANSWER_SECONDS = 0.005


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
        self._stores = context.stores
        self._runs = context.ledgers.runs
        self._open_runs = OpenRuns(context.stores)
        self._reaper = reaper
        self._launcher = launcher
        self._workers = context.workers
        self._ownership = system.ownership
        self._limits = limits
        self._clock = context.clock
        self._outbox = system.outbox
        self._resume = starts.resume
        self._batches = starts.batches
        on_freed = partial(self._ask, "queue")
        self._starter = Starter(context, system, reaper, launcher, limits, on_freed)
        self._line = WaitingLine(context, self._starter, system.quarantine)
        self._fill_auto = fill_auto
        self._call_at = partial(context.call_at, name="sweep")
        self._publish = context.feed.publish
        self._leases = system.leases
        self._quarantine = system.quarantine
        self._guard = threading.Lock()
        self._is_open = False
        self._rounds = SingleFlight(self._go_round)
        self._wanted: set[str] = set()
        # set while something is wanted that must not wait, and when the last look began
        self._urgent = threading.Event()
        self._looked_at = -APART_SECONDS
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
            self._urgent.set()
            self._rounds.request(self._workers)

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
        """Request a fill of queued runs only, soon: nothing was freed that the loop could use.

        Requests that come before it, or shortly after a look, share one.
        """
        self._ask("accepted")

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
        due = self._read_due(now)
        if due.failed_rows or self._quarantine.is_any_known():
            self._quarantine.refresh()
        looks = [partial(self._inspect, run) for run in self._begun(due)]
        self._workers.do_all(looks, LOOK_SECONDS, afterwards=self.request_fill)
        # not at every fill: a failing end causes a check, and a check requests a fill
        if due.batches:
            self._batches.end_left_behind()
        return Swept(len(looks), self.fill_once(now))

    def fill_once(self, now: datetime, *, with_loop: bool = True) -> int:
        """Start what may start: resumes first, then requests of people, then the loop's."""
        due = self._read_anew(now)
        try:
            if self._settle(due, now):
                due = self._read_due(now)
            taken = self._fill_from_queue(due, now)
            # fill again: runs that the loop adds may start at once. The clock is read anew because
            # the checks took time and the sweep lease may have moved.
            if self._may_loop(due, taken) and with_loop and self._fill_auto(self._clock()):
                taken += self._fill_from_queue(self._read_due(now), now)
            # runs that fell due, also those of batches, may now expire
            if taken or due.due or due.batches:
                due = self._read_due(now)
            return taken
        finally:
            self._remember_next_moment(due, now)

    def _may_loop(self, due: DueWork, taken: int) -> bool:
        return due.looped_projects and self._starter.free_slots(due.live + taken) > 0

    def _settle(self, due: DueWork, now: datetime) -> bool:
        """Do what decides what may start; return False if there was nothing to do."""
        if due.late_launches:
            self._end_late_launches(now)
        if due.effects:
            self._outbox.catch_up()
        if due.account_holds or due.resumable:
            self._resume.continue_once(now)
        return due.late_launches or due.effects or due.account_holds or due.resumable

    def _fill_from_queue(self, due: DueWork, now: datetime) -> int:
        if (due.due or due.overdue) and self._line.end_overdue(due, now):
            due = self._read_due(now)
        # single requests go before batch items
        taken, holds = self._line.fill(due, now) if due.queued else (0, None)
        if due.batches:
            taken += self._batches.fill(now, lambda run: self._start_item(run, now))
        if holds is not None:
            self._line.say_why(holds, due.live + taken)
        return taken

    def _start_item(self, run: Run, now: datetime) -> bool | None:
        tried = self._starter.start(run, now)
        if tried is not None and tried.hold is not None:
            self._runs.set_hold(run, tried.hold)
        return tried and tried.is_taken

    def _read_due(self, now: datetime) -> DueWork:
        return read_due_work(self._stores, now, now - self._launcher.launch_time)

    def _read_anew(self, now: datetime) -> DueWork:
        """Read what is due and drop the scheduled fill, whose successor the caller schedules."""
        with self._guard:
            # runs accepted during this read schedule their own fill
            dropped, self._next_at = self._next_at, None
        try:
            return self._read_due(now)
        except Exception:
            if dropped is not None and dropped > now:
                with self._guard:
                    self._fill_by([dropped])
            raise

    def _begun(self, due: DueWork) -> list[Run]:
        return self._runs.begun_runs() if due.live else []

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

    def _remember_next_moment(self, due: DueWork, now: datetime) -> None:
        """Schedule the next fill for when something is due, not for the next tick."""
        moments = self._limits.moments(now) if due.account_holds else []
        if due.next_start is not None:
            moments.append(due.next_start)
        if due.next_launch is not None:
            moments.append(due.next_launch + self._launcher.launch_time)
        with self._guard:
            self._fill_by([moment for moment in moments if moment > now])

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
            is_known = what in self._wanted
            self._wanted.add(what)
            if what != "accepted":
                self._urgent.set()
            if is_known or not self._is_open:
                return  # the round that is to do it has yet to begin
        self._rounds.request(self._workers)

    def _go_round(self, _: str) -> None:
        # a look beside an accept would hold its answer up, and many are accepted at once
        self._urgent.wait(max(ANSWER_SECONDS, self._looked_at + APART_SECONDS - monotonic()))
        with self._guard:
            wanted, self._wanted = self._wanted, set()
            self._urgent.clear()
        self._looked_at = monotonic()
        if "tick" in wanted:
            self.tick_once(self._clock())
            self.done += 1
        elif wanted:
            self.fill_once(self._clock(), with_loop="fill" in wanted)

    def _inspect(self, run: Run) -> None:
        # settling is a separate duty: a Stop can still end a run that cannot be judged
        subject = of_run("settle" if run.status in DONE else "look", run)
        self._quarantine.guard(subject, lambda: self._reaper.reap_once(run.id) or None)
