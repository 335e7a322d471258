"""Retention of ended runs' working copies: removed if all of their work exists elsewhere.

Most copies are removed at the end of their run. One that was kept then is parked and stays until
a person delivers or discards it. Copies left after a delivery are removed here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog

from app.failpoints import failpoint
from app.records.runs.parked_ledger import ParkedLedger
from app.records.runs.selections import over_and_done
from app.records.tables import Project, Run
from app.services.context import Context, repository_of
from app.services.ports import CannotRead, Repository
from app.services.retention.policy import (
    SOON,
    PendingRemoval,
    RemovalNotices,
    Removed,
    Terms,
    are_due,
    holding_work,
    next_to_go,
)
from app.services.system.ownership import Leases

log = structlog.get_logger()
COPY = Removed("copy_removed", "working copy")
AT_ONCE = 50  # copies measured per round
AGAIN = 20  # stale copies measured again per round
STALE = timedelta(hours=20)
ROWS = 500


@dataclass(frozen=True)
class CopyUsage:
    """Copies of ended runs; bytes count only measured ones.

    `leaving` are removed after being shown for an hour, oldest first. `staying` are due, too, but
    hold work that exists nowhere else. `next_at` is when the next one reaches the age limit;
    `looked_at` is None before the first round. Times are UTC.
    """

    kept: int = 0
    bytes: int = 0
    unmeasured: int = 0
    staying: int = 0
    staying_bytes: int = 0
    leaving: tuple[PendingRemoval, ...] = ()
    next_at: datetime | None = None
    looked_at: datetime | None = None

    @property
    def leaving_bytes(self) -> int:
        """Bytes to be removed."""
        return sum(one.bytes for one in self.leaving)


@dataclass(frozen=True)
class _Known:
    """Result of measuring a copy: its bytes, and the work that exists only there."""

    bytes: int
    holds: str
    at: datetime


class CopyRetention:
    """Measures copies in rounds, shows which are to be removed, and removes them an hour later."""

    def __init__(
        self,
        context: Context,
        leases: Leases,
        terms: Terms,
    ) -> None:
        ledgers, adapters = context.ledgers, context.adapters
        self._runs = ledgers.runs
        self._projects = ledgers.projects
        self._parked = ParkedLedger(ledgers.runs)
        self._mirrors = adapters.mirrors
        self._copies = adapters.copies
        self._locks = context.locks
        self.terms = terms
        self._workers = context.workers
        self._clock = context.clock
        self._may_act = leases.may_sweep
        self._again_at = partial(context.call_at, name="copies")
        self._looking = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._notices = RemovalNotices()
        self._usage = CopyUsage()

    def request(self) -> None:
        """Request a round on a worker soon."""
        self._workers.submit(lambda: self.clear_once(self._clock()))

    def usage(self) -> CopyUsage:
        """Return the result of the last round without measuring anything."""
        return self._usage

    def clear_once(self, now: datetime) -> int:
        """Measure some copies and remove those that are due. Return how many were removed."""
        with self._looking:
            over = self._over()
            self._inspect_some(over.values(), now)
            usage = self._compute_usage(over.values(), now)
            due = are_due(usage.leaving, now) if self._may_act(now) else []
            gone = {one.run_id for one in due if self._remove(over, one, now)}
            left = [run for run in over.values() if run.id not in gone]
            self._usage = self._compute_usage(left, now) if gone else usage
        self._come_again(now)
        return len(gone)

    # --- inspection ----------------------------------------------------------------------------

    def _over(self) -> dict[str, Run]:
        """Return the ended runs that have a copy, by id, the oldest end first."""
        ids = self._copies.ids()
        found: dict[str, Run] = {}
        for start in range(0, len(ids), ROWS):
            found |= over_and_done(self._runs.stores, ids[start : start + ROWS])
        return dict(sorted(found.items(), key=lambda one: (_ended(one[1]), one[0])))

    def _inspect_some(self, over: Iterable[Run], now: datetime) -> None:
        runs = {run.id: run for run in over}
        self._known = {run_id: known for run_id, known in self._known.items() if run_id in runs}
        fresh = [run_id for run_id in runs if run_id not in self._known]
        aged = [run_id for run_id, known in self._known.items() if now - known.at >= STALE]
        aged.sort(key=lambda run_id: self._known[run_id].at)
        for run_id in fresh[:AT_ONCE] + aged[:AGAIN]:
            run = runs[run_id]
            self._known[run_id] = _Known(self._copies.size(run_id), self._holds(run), now)

    def _compute_usage(self, over: Iterable[Run], now: datetime) -> CopyUsage:
        runs = list(over)
        known = [(run, self._known[run.id]) for run in runs if run.id in self._known]
        kept = total = sum(one.bytes for _, one in known)
        leaving, staying = list[PendingRemoval](), list[int]()
        oldest: datetime | None = None
        for run, one in known:
            because = self.terms.verdict(_ended(run), kept, now)
            if because is None:
                oldest = min(oldest or _ended(run), _ended(run))
            elif one.holds:
                staying.append(one.bytes)
            else:
                leaving.append(PendingRemoval(run.id, _ended(run), one.bytes, because))
                kept -= one.bytes
        return CopyUsage(
            kept=len(runs),
            bytes=total,
            unmeasured=len(runs) - len(known),
            staying=len(staying),
            staying_bytes=sum(staying),
            leaving=self._notices.show(leaving, now),
            next_at=self.terms.comes_of_age(oldest),
            looked_at=now,
        )

    def _holds(self, run: Run) -> str:
        """Describe the work that exists only in this copy; empty if the copy may be removed.

        Anything unreadable counts as work.
        """
        project = self._projects.find(run.project_id)
        if project is None:
            return "its project is gone"
        if run.parked and not _is_delivered(run):
            return "it is parked: it waits to be delivered or discarded"
        if self._parked.open_run(run.project_id, run.work_branch) is not None:
            return "a run works on its branch"
        repo = repository_of(project)
        try:
            tip = self._mirrors.tip(repo, run.work_branch) or run.head_sha or run.base_sha
            if tip is None:
                return "its base is unknown"
            state = self._copies.inspect(repo, run.id, tip=tip)
            return state.holds or self._unmerged(repo, run, project, tip)
        except (CannotRead, OSError, ValueError) as problem:
            return f"it could not be read: {problem}"

    def _unmerged(self, repo: Repository, run: Run, project: Project, tip: str) -> str:
        """Describe commits of a clean copy that are on no branch of origin; empty if none."""
        pushed = self._mirrors.origin_tip(repo, run.work_branch)
        if tip in (run.base_sha, pushed, (run.delivery or {}).get("head_sha")):
            return ""
        base = self._mirrors.origin_tip(repo, project.base_branch)
        if base is not None and not self._mirrors.stat(repo, base, tip).commits:
            return ""
        return "commits that are not merged"

    # --- removal -------------------------------------------------------------------------------

    def _remove(self, over: dict[str, Run], one: PendingRemoval, now: datetime) -> bool:
        run = over[one.run_id]
        with holding_work(self._locks, run) as is_ours:
            return is_ours and self._is_removed(one, now)

    def _is_removed(self, one: PendingRemoval, now: datetime) -> bool:
        # check again: a person may have worked in it, retried or resumed it since
        run = over_and_done(self._runs.stores, [one.run_id]).get(one.run_id)
        if run is None or self._holds(run):
            self._known.pop(one.run_id, None)
            return False
        COPY.say(self._runs, self.terms, one, now)
        self._runs.update_fields(run.id, run.project_id, parked=False)
        failpoint("retention.before_removal")
        try:
            self._copies.remove(run.id)
        except (CannotRead, OSError) as problem:
            log.warning("working_copy_not_removed", run_id=run.id, because=problem)
            self._runs.update_fields(run.id, run.project_id, parked=run.parked)
            return False
        return True

    def _come_again(self, now: datetime) -> None:
        if self._usage.unmeasured:
            self._again_at(now + SOON, self.request)
        elif (moment := next_to_go(self._usage.leaving, now)) is not None:
            self._again_at(moment, self.request)


def _is_delivered(run: Run) -> bool:
    """Return False if there is no delivery, or it was closed unmerged, which parks it again."""
    return run.delivery is not None and run.delivery["state"] != "closed"


def _ended(run: Run) -> datetime:
    return run.ended_at or run.created_at
