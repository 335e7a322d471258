"""Starting one waiting run: taken from the queue if it may start, ended if it never can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Unpack

from app.domain.lifecycle import Signal
from app.domain.words import Cause, Status
from app.records.projects.project_reading import ProjectUnreadable
from app.records.runs import run_ledger
from app.records.runs.due_work import HeldProject
from app.records.runs.run_columns import RunColumns
from app.records.tables import Project, Run
from app.services.context import Context
from app.services.lifecycle.launch import Launcher
from app.services.lifecycle.reap import Reaper
from app.services.limits.usage_limits import UsageLimits, current_sentence
from app.services.runs.requests import no_room
from app.services.system.build import SystemServices
from app.services.system.origin_watch import unreachable_words
from app.services.system.quarantine import of_run

CLONING = "the repository is being cloned"
UNREADABLE = "a value in the project's database row cannot be read"


class Alike(Enum):
    """The runs that a hold found for one run holds too."""

    EVERY = auto()
    PROJECT = auto()
    PLANNED = auto()
    KIND = auto()


@dataclass(frozen=True)
class Tried:
    """The outcome of a try: taken, or why the run and those `alike` wait; neither if it is over."""

    is_taken: bool = False
    hold: str | None = None
    alike: Alike | None = None


class Starter:
    """Takes waiting runs from the queue, each in one transaction, and launches them."""

    def __init__(
        self,
        context: Context,
        system: SystemServices,
        reaper: Reaper,
        launcher: Launcher,
        limits: UsageLimits,
        on_freed: Callable[[], None],
    ) -> None:
        self._runs = context.ledgers.runs
        self._projects = context.ledgers.projects
        self._workers = context.workers
        self._max_live_runs = context.settings.max_live_runs
        self._reaper = reaper
        self._launcher = launcher
        self._limits = limits
        self._ownership = system.ownership
        self._quarantine = system.quarantine
        self.no_disk = system.disk.hold
        # called when a launch has failed, so that its slot is free again
        self._on_freed = on_freed

    def start(self, run: Run, now: datetime) -> Tried | None:
        """Start a waiting run if it may start; None if that failed, or failed too often before."""
        return self._quarantine.guard(of_run("start", run), lambda: self._start(run, now))

    def free_slots(self, live: int) -> int:
        """Return how many more runs may be live."""
        return max(0, self._max_live_runs - live)

    def full_words(self, live: int) -> str | None:
        """Return why every run waits while so many are live, None if there is a free slot."""
        if self.free_slots(live):
            return None
        return f"waits for other runs to end: {live} of {self._max_live_runs} are live"

    def of_accounts(self, now: datetime) -> tuple[set[str], set[str]]:
        """Return the runs that go first on an account at its limit, and why the others wait."""
        held = self._limits.ledger.all()
        probes = {one.probe_run_id for one in held if one.probe_run_id is not None}
        return probes, {current_sentence(one, now) for one in held}

    def _fall_due(self, run: Run, now: datetime) -> Run:
        with self._runs.stores.owner_of(run.id).transaction() as tx:
            return self._runs.fall_due(tx, run, now) or run

    def _start(self, run: Run, now: datetime) -> Tried:
        if run.status == Status.DELAYED:
            run = self._fall_due(run, now)
        if self._has_expired(run, now):
            return Tried()
        try:
            project = self._projects.find(run.project_id)
        except ProjectUnreadable:
            # none of its runs is at fault, and its card says what is
            return Tried(False, UNREADABLE, Alike.PROJECT)
        if run.status != Status.QUEUED or self._is_hopeless(run, project, now):
            return Tried()
        if run.awaits_approval:
            return Tried(False, run.hold)
        return self._take(run, project, now)

    def _take(self, run: Run, project: Project | None, now: datetime) -> Tried:
        if project is not None and (hold := hold_of(project)):
            return Tried(False, hold, Alike.PROJECT)
        if hold := self.no_disk():
            return Tried(False, hold, Alike.EVERY)
        # announced first: after the commit another tick may find the run
        self._launcher.promise(run.id)
        tried = Tried()
        try:
            tried = self._take_slot(run, project, now)
        finally:
            if not tried.is_taken:
                self._launcher.withdraw(run.id)
        if tried.is_taken:
            self._workers.submit(self._launch, run)
        return tried

    def _take_slot(self, run: Run, project: Project | None, now: datetime) -> Tried:
        with self._runs.stores.spanning(run.id, "take") as tx:
            if full := self.full_words(run_ledger.count_live(tx)):
                return Tried(False, full, Alike.EVERY)
            if project is not None and (held := no_room(tx, run, project)):
                return Tried(False, held, Alike.PLANNED)
            if held := self._limits.take(tx, run, now):
                return Tried(False, held, Alike.KIND)
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
        return Tried(moved is not None)

    def _launch(self, run: Run) -> None:
        is_launched = False
        try:
            is_launched = self._launcher.launch_once(run.id)
        finally:
            if not is_launched:
                self._quarantine.guard(
                    of_run("look", run), lambda: self._reaper.reap_once(run.id) or None
                )
                self._on_freed()

    def _has_expired(self, run: Run, now: datetime) -> bool:
        """End a queued run whose time to live is over; return False if it may still wait."""
        if run.status != Status.QUEUED or run.expires_at is None or run.expires_at > now:
            return False
        because = "it was not started in the time it was given"
        self._end(run, Signal.TTL_OVER, now, Cause.TTL, because)
        return True

    def _is_hopeless(self, run: Run, project: Project | None, now: datetime) -> bool:
        """End a queued run whose project can never start it; return False if it still may."""
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


def hold_of(project: Project | HeldProject) -> str | None:
    """Return why no run of a project starts, None if they may."""
    return CLONING if project.state == "cloning" else unreachable_words(project)
