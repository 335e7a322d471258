"""Release of plain runs' branches that are parked although they hold nothing."""

from __future__ import annotations

import threading
from datetime import datetime
from functools import partial

import structlog

from app.records.runs.parked_ledger import ParkedLedger
from app.records.runs.selections import over_and_done
from app.records.tables import Project, Run
from app.services.context import Context, repository_of
from app.services.kept.parked import Holdings
from app.services.ports import CannotRead
from app.services.retention.policy import SOON, holding_work
from app.services.system.ownership import Leases

log = structlog.get_logger()
AT_ONCE = 50  # runs checked per round
LET_GO = "branch deleted: it had no commits or files"


class EmptyBranches:
    """Releases branches that an older Runyard parked for nothing; unreadable ones stay.

    A branch of an issue is its claim and stays, as does a run at its usage limit.
    """

    def __init__(
        self,
        context: Context,
        leases: Leases,
        holdings: Holdings,
    ) -> None:
        ledgers, adapters = context.ledgers, context.adapters
        self._runs = ledgers.runs
        self._projects = ledgers.projects
        self._parked = ParkedLedger(ledgers.runs)
        self._mirrors = adapters.mirrors
        self._copies = adapters.copies
        self._holdings = holdings
        self._locks = context.locks
        self._here = adapters.machine.here
        self._workers = context.workers
        self._clock = context.clock
        self._may_act = leases.may_sweep
        self._again_at = partial(context.call_at, name="branches")
        self._looking = threading.Lock()
        self._after = ""

    def request(self) -> None:
        """Request a round on a worker soon."""
        self._workers.submit(lambda: self.clear_once(self._clock()))

    def clear_once(self, now: datetime) -> int:
        """Check some parked runs and release those that hold nothing. Return how many."""
        with self._looking:
            if not self._may_act(now):
                return 0
            some = self._parked.plain(after=self._after, limit=AT_ONCE)
            gone = sum(self._let_go(run, now) for run in some)
            is_full = len(some) == AT_ONCE
            # the next round continues after these; after the last it starts over
            self._after = some[-1].id if is_full else ""
        if is_full:
            self._again_at(now + SOON, self.request)
        return gone

    def _let_go(self, run: Run, now: datetime) -> bool:
        with holding_work(self._locks, run) as is_ours:
            try:
                return is_ours and self._is_let_go(run, now)
            except (CannotRead, OSError) as problem:
                log.info("run_left_parked", run_id=run.id, because=problem)
                return False

    def _is_let_go(self, run: Run, now: datetime) -> bool:
        project = self._projects.find(run.project_id)
        if project is None or not self._is_nothing(run, project):
            return False
        repo = repository_of(project)
        tip = self._mirrors.tip(repo, run.work_branch)
        if tip not in (None, run.base_sha):
            return False
        self._copies.remove(run.id)
        if tip is not None and not self._mirrors.release(repo, run.work_branch, expected_sha=tip):
            return False
        self._runs.update_fields(run.id, run.project_id, parked=False)
        self._runs.append_event_once(run.id, now, "note", LET_GO)
        return True

    def _is_nothing(self, run: Run, project: Project) -> bool:
        """Return True if this server's own mirror and copies were read and hold nothing of it."""
        # read again: a person may have retried or delivered it since
        latest = over_and_done(self._runs.stores, [run.id]).get(run.id)
        is_here = (run.host, run.instance) == (self._here.host, self._here.instance)
        return (
            latest is not None
            and latest.parked
            and latest.delivery is None
            and latest.pr_number is None  # the branch is a change request's
            and is_here
            and run.base_sha is not None
            and self._parked.open_run(run.project_id, run.work_branch) is None
            and len(self._parked.of_branch(run.project_id, run.work_branch)) == 1
            and self._mirrors.exists(repository_of(project))
            and self._copies.path(run.id).parent.is_dir()
            and self._holdings.measure(latest, project).is_nothing
        )
