"""Resuming runs ended by a usage limit: one goes first, the rest follow (engine.md §2, §5)."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from functools import partial

import structlog

from app.domain.lifecycle import DONE
from app.domain.usage_limits import LONG_ENOUGH, MAX_RESUMES, NEXT_PROBE, Stand, stand_of
from app.domain.words import Cause, Status, Trigger
from app.errors import (
    AgentUnavailable,
    AlreadyRunning,
    ConcurrencyLimit,
    ForgeUnavailable,
    NotFound,
    NotResumable,
    PrLock,
    Refusal,
    StillLive,
    StoreUnavailable,
)
from app.failpoints import failpoint
from app.records.database.database import Transaction
from app.records.feed import PersonNeeded
from app.records.people.audit_ledger import acting, by_loop
from app.records.people.usage_limit_ledger import facts_of
from app.records.runs.quarantine_ledger import HELD, RESUMED, Subject
from app.records.tables import AccountHold, Run
from app.services.context import Context
from app.services.kept.retry import ContinuedWork, RetryService
from app.services.limits.usage_limits import UsageLimits, needs
from app.services.runs.agent_reports import Reporter
from app.services.runs.requests import Accepted, Also, HeldBack, Requester
from app.services.system.build import SystemServices
from app.services.system.quarantine import of_run

log = structlog.get_logger()
BY_ITSELF = "auto"
TRIED_AGAIN = timedelta(seconds=30)
PASSING = (
    *(AlreadyRunning, ConcurrencyLimit, PrLock, StillLive),
    *(AgentUnavailable, ForgeUnavailable, StoreUnavailable),
)


class ResumeService:
    """Resumes runs after a usage limit, by hand or automatically once the limit has reset."""

    def __init__(
        self,
        context: Context,
        system: SystemServices,
        limits: UsageLimits,
        retry: RetryService,
        reporter: Reporter,
    ) -> None:
        self._runs = context.ledgers.runs
        self._projects = context.ledgers.projects
        self._agents = context.adapters.agents
        self._limits = limits
        self._ledger = limits.ledger
        self._retry = retry
        self._reporter = reporter
        self._leases = system.leases
        self._provenance = context.identity.as_dict()
        self._quarantine = system.quarantine
        self._rests: dict[str, datetime] = {}
        self._announced: set[datetime | None] = set()

    # --- at a person's word --------------------------------------------------------------------

    def resume(self, run_id: str, requester: Requester, now: datetime) -> Accepted:
        """Resume a run now, even while its account is held: the run then probes the account.

        Raises NotFound, NotResumable, StillLive and any refusal of a new run.
        """
        run = self._runs.find(run_id)
        if run is None:
            raise NotFound
        if run.status not in DONE:
            raise StillLive("This run is still in progress.")
        if not _is_resumable(run):
            raise NotResumable
        return self._retry.resume(
            run_id, self._continued_work(run, 0, self._by_hand(now)), requester, now
        )

    def _by_hand(self, now: datetime) -> Also:
        def begin(tx: Transaction, run: Run) -> None:
            self._limits.begin_resume(tx, run, now, by_hand=True)

        return begin

    # --- by themselves -------------------------------------------------------------------------

    def continue_once(self, now: datetime) -> int:
        """Check the probing runs, then resume what may continue now; return how many."""
        if not self._leases.may_sweep(now):
            return 0
        holds, resumable = self._ledger.all(), self._ledger.resumable()
        if not holds and not resumable:
            return 0
        for hold in holds:
            subject = Subject(HELD, hold.run_id, None, run_id=hold.run_id)
            self._quarantine.guard(subject, partial(self._inspect, hold, now))
        resumed = sum(
            bool(self._quarantine.guard(of_run(RESUMED, run), partial(self._continue, run, now)))
            for run in resumable
        )
        for hold in self._ledger.all():
            stand = stand_of(facts_of(hold), now)
            if stand is Stand.EASING:
                self._end_if_over(hold, now)
            elif stand is Stand.DUE and hold.until not in self._announced:
                # no run waits for it, so no run's change announces that the account is free
                self._announced.add(hold.until)
                self._ledger.publish_change()
        return resumed

    def _inspect(self, hold: AccountHold, now: datetime) -> bool:
        if hold.probe_run_id is None:
            return False
        probe = self._runs.find(hold.probe_run_id)
        if probe is not None and self._has_shown_that_it_works(probe, now):
            return self._ledger.change(hold, probe_run_id=None, next_at=now)
        if probe is None or probe.status in DONE:
            # it has proved nothing: another probes a little later, never before the limit resets
            until = hold.until and max(hold.until, now + NEXT_PROBE)
            return self._ledger.change(hold, probe_run_id=None, until=until)
        return False

    def _has_shown_that_it_works(self, probe: Run, now: datetime) -> bool:
        if probe.status in (Status.CHECKING, Status.DELIVERING, Status.SUCCEEDED):
            return True
        if probe.started_at is None or probe.status == Status.LIMITED:
            return False
        report = self._reporter.of(probe)
        has_progressed = bool(report.tools_used or report.files_edited or report.output_tokens)
        is_long = probe.status == Status.RUNNING and now - probe.started_at >= LONG_ENOUGH
        return has_progressed or is_long

    def _is_wanted(self, run: Run) -> bool:
        """Return False if a run is continued already or must not be resumed."""
        successor = self._runs.find(run.retried_by) if run.retried_by else None
        if successor is not None and successor.status not in DONE:
            return False
        project = self._projects.find(run.project_id)
        if project is None or not project.resume_after_limit or project.archived_at is not None:
            return False
        if successor is None:
            return run.released_at is not None and self._is_kept(run)
        return self._is_left_over(run, successor)

    def _is_kept(self, run: Run) -> bool:
        """Return False, and clear the run's resume mark, if its work was discarded."""
        is_discarded = run.status == Status.LIMITED and not run.parked
        if is_discarded:
            self._ledger.set_resumable(run, may_resume=False)
        return not is_discarded

    def _is_left_over(self, run: Run, successor: Run) -> bool:
        """Return True if a resume never started and the work is still the original run's.

        Otherwise, once the resume is released, clear the run's resume mark; a resume that kept the
        work gets it.
        """
        if successor.released_at is None:
            return False
        came_to_nothing = (
            successor.trigger == Trigger.RESUME and successor.status == Status.NOT_STARTED
        )
        if came_to_nothing and not successor.parked and successor.resumes < MAX_RESUMES:
            return True
        if came_to_nothing and successor.parked:
            self._ledger.set_resumable(successor, may_resume=successor.resumes < MAX_RESUMES)
        self._ledger.set_resumable(run, may_resume=False)
        return False

    def _may_be_wanted(self, run: Run) -> bool:
        try:
            return self._is_wanted(run)
        except Exception:
            log.exception("resume_not_judged", run_id=run.id)
            return True

    def _continue(self, run: Run, now: datetime) -> bool:
        if not self._is_wanted(run):
            return False
        if now < self._rests.get(run.id, now) <= now + TRIED_AGAIN:
            return False
        if self._limits.reason(run.agent, run.model, now, is_resume=True):
            return False
        continued = self._continued_work(run, self._count(run) + 1, self._in_turn(now))
        requester = Requester(
            BY_ITSELF, Trigger.RESUME, None, uuid.uuid4().hex, self._provenance, is_charged=False
        )
        try:
            with acting(by_loop("resume", requester.correlation_id, now)):
                resumed = self._retry.resume(run.id, continued, requester, now).run
        except HeldBack:
            return False
        except PASSING as reason:
            self._rests[run.id] = now + TRIED_AGAIN
            log.info("run_not_resumed", run_id=run.id, because=reason)
            return False
        except Refusal as reason:
            self._give_up(run, reason.detail, now)
            return False
        self._rests.pop(run.id, None)
        failpoint("resume.after_accept")
        log.info("run_resumed", run_id=resumed.id, resumes=run.id)
        return True

    def _in_turn(self, now: datetime) -> Also:
        def begin(tx: Transaction, run: Run) -> None:
            failpoint("resume.before_accept")
            if not self._limits.begin_resume(tx, run, now, by_hand=False):
                raise HeldBack("another goes first")

        return begin

    def _count(self, run: Run) -> int:
        successor = self._runs.find(run.retried_by) if run.retried_by else None
        return max(run.resumes, successor.resumes if successor else 0)

    def _continued_work(self, run: Run, resumes: int, also: Also) -> ContinuedWork:
        session = self._reporter.of(run).session_id or run.session_id
        if session is not None and not self._agents.can_continue(run.agent, session):
            session = None
        return ContinuedWork(session, resumes, also)

    def _give_up(self, run: Run, because: str, now: datetime) -> None:
        self._rests.pop(run.id, None)
        if self._ledger.set_resumable(run, may_resume=False):
            what, path = "needs you: a run cannot be resumed by itself", f"/runs/{run.id}"
            needed = PersonNeeded(f"not resumed:{run.id}", run.project_id, what, because, path)
            with self._runs.stores.owner_of(run.id).transaction() as tx:
                self._runs.append_event(
                    tx, run.id, now, "note", f"not resumed by itself: {because}"
                )
                tx.record_event(needed)

    def _end_if_over(self, hold: AccountHold, now: datetime) -> None:
        """Drop a hold that no run waits for."""
        if self._ledger.has_queued(hold):
            return
        waiting = filter(self._may_be_wanted, self._ledger.resumable())
        if not any(needs(hold, run) for run in waiting):
            self._ledger.drop(hold)


def _is_resumable(run: Run) -> bool:
    is_left_over = run.trigger == Trigger.RESUME and run.status == Status.NOT_STARTED
    return run.status == Status.LIMITED or run.cause == Cause.USAGE_LIMIT or is_left_over
