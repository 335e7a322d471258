"""The line of single runs: starts the first that may start, and says why the others wait."""

from __future__ import annotations

from datetime import datetime
from functools import partial

import structlog

from app.records.database.database import Database, DatabaseSilent
from app.records.runs.due_work import DueWork, held_projects
from app.records.runs.quarantine_ledger import Subject
from app.records.runs.waiting_queue import TOGETHER, Holds, WaitingQueue, kind_of
from app.records.tables import Run
from app.services.auto.starts import Alike, Starter, Tried, hold_of
from app.services.context import Context
from app.services.system.quarantine import Quarantine

log = structlog.get_logger()


class WaitingLine:
    """Feeds the sweep with single runs, oldest first; its cost follows what can start."""

    def __init__(self, context: Context, starter: Starter, quarantine: Quarantine) -> None:
        self._queue = WaitingQueue(context.stores)
        self._runs = context.ledgers.runs
        self._stores = context.stores
        self._starter = starter
        self._quarantine = quarantine

    def end_overdue(self, due: DueWork, now: datetime) -> int:
        """Queue delayed runs that are due, and end those that have expired; return how many."""
        fallen = self._fall_due(now) if due.due else 0
        # what falls due may have expired already
        overdue = self._queue.overdue(now) if due.overdue or fallen else []
        for run in overdue:
            self._starter.start(run, now)
        return fallen + len(overdue)

    def _fall_due(self, now: datetime) -> int:
        held = set(self._quarantine.ids_held("start"))
        projects = {one: project for one, project in self._queue.due(now) if one not in held}
        return sum(
            self._fall_due_together(database, ids[begin : begin + TOGETHER], projects, now)
            for database, ids in self._stores.by_owner(projects).items()
            for begin in range(0, len(ids), TOGETHER)
        )

    def _fall_due_together(
        self, database: Database, ids: list[str], projects: dict[str, str], now: datetime
    ) -> int:
        def fall_due(*some: str) -> int:
            with database.transaction() as tx:
                return self._runs.fall_due_together(tx, some, now)

        try:
            return fall_due(*ids)
        except DatabaseSilent:
            raise
        except Exception as problem:
            log.warning("runs_fall_due_one_by_one", count=len(ids), because=problem)
        one_by_one = ((Subject("start", one, one, projects[one], one), one) for one in ids)
        return sum(
            self._quarantine.guard(subject, partial(fall_due, one)) or 0
            for subject, one in one_by_one
        )

    def fill(self, due: DueWork, now: datetime) -> tuple[int, Holds]:
        """Start runs while there is room; return how many were taken, and what holds the others."""
        full = self._starter.full_words(due.live)
        holds = Holds(every=self._starter.no_disk() or full)
        holds.runs |= dict.fromkeys(self._quarantine.ids_held("start"))
        if due.account_holds:
            holds.probes, holds.still_true = self._starter.of_accounts(now)
        if due.held_projects:
            self._meet_projects(holds, now)
        return self._fill(holds, due.live, now), holds

    def _fill(self, holds: Holds, live: int, now: datetime) -> int:
        taken, reach = 0, self._starter.free_slots(live)
        tried_last: dict[Database, Run] = {}
        while not holds.every and (runs := self._queue.first(holds, reach, tried_last)):
            tried_last |= {self._stores.owner_of(run.id): run for run in runs}
            before = taken
            for run in runs:
                if holds.every or holds.covers(run):
                    continue
                tried = self._starter.start(run, now)
                if tried is not None and tried.is_taken:
                    taken += 1
                    holds.every = self._starter.full_words(live + taken)
                else:
                    _note(holds, run, tried)
            # where many fail, a few at a time would take as many reads
            free = self._starter.free_slots(live + taken)
            reach = free if taken > before else min(2 * reach, TOGETHER)
        return taken

    def say_why(self, holds: Holds, live: int) -> None:
        """Write why the runs wait that are still in the queue."""
        holds.every = holds.every or self._starter.full_words(live)
        self._queue.write_holds(holds)

    def _meet_projects(self, holds: Holds, now: datetime) -> None:
        for project in held_projects(self._stores):
            if hold := hold_of(project):
                holds.projects[project.id] = hold
            else:
                # it could not be cloned: none of its runs can ever start
                for run in self._queue.of_project(project.id):
                    self._starter.start(run, now)


def _note(holds: Holds, run: Run, tried: Tried | None) -> None:
    """Note what a run that was not taken says of the others."""
    hold = tried.hold if tried else None
    match tried.alike if tried else None:
        case Alike.EVERY:
            holds.every = hold
        case Alike.PROJECT if hold:
            holds.projects[run.project_id] = hold
        case Alike.PLANNED if hold:
            holds.planned[run.project_id] = hold
        case Alike.KIND if hold and run.id not in holds.probes:
            holds.kinds[kind_of(run)] = hold
        case _:
            holds.runs[run.id] = hold
