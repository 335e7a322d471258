"""The launch path: fetch, claim, prepare, spawn; a failed launch is rolled back (engine.md §2)."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from app.domain.lifecycle import DONE, Signal
from app.domain.names import branches_collide
from app.domain.words import Cause, Status, Trigger
from app.failpoints import failpoint
from app.records.runs.parked_ledger import ParkedLedger
from app.records.runs.run_columns import RunColumns
from app.records.tables import Project, Run
from app.services.context import Context, repository_of
from app.services.launch_errors import cause_of, sentence_of
from app.services.lifecycle.change_heads import HeadClaims
from app.services.lifecycle.handover import Handover, NothingKept, continues, was_to_continue
from app.services.lifecycle.launch_spec import LaunchSpecs, LaunchTerms, NotLaunched
from app.services.lifecycle.refused_hosts import Refusals
from app.services.lifecycle.rollback import LaunchSteps, Rollback, RollbackResult
from app.services.limits.usage_limits import UsageLimits
from app.services.ports import (
    BranchTaken,
    CannotRead,
    Change,
    Kept,
    Launched,
    LaunchFailed,
    OriginProblem,
    PromptTooLong,
    Repository,
)
from app.services.runs.prechecks import Readiness
from app.services.system.origin_watch import OriginWatch
from app.services.tracing import unit_of_work

WANTED_ELSEWHERE = (Trigger.AUTO, Trigger.RESUME)  # retried by the loop or the original run
AWAY = (
    "Runyard's own clone of this repository is not in its folder, and work is kept in it; "
    "restore or mount the folder, then start this run again"
)
NEVER_STARTED = "Runyard was restarted before the agent had started"
# marks the timeline event of a run that was requeued
REQUEUED = "requeued"


class TakenAtOrigin(NotLaunched):
    """Raised if origin has a branch that would block pushing ours."""


class AccountFull(NotLaunched):
    """Raised if the agent's account has hit its usage limit since the run was taken."""


class Launcher:
    """Takes a run from `starting` to `running`, or rolls it back."""

    def __init__(
        self,
        context: Context,
        limits: UsageLimits,
        terms: LaunchTerms,
        origins: OriginWatch,
        specs: LaunchSpecs,
    ) -> None:
        ledgers, adapters, clock = context.ledgers, context.adapters, context.clock
        self._origins = origins
        self._runs = ledgers.runs
        self._projects = ledgers.projects
        self._mirrors = adapters.mirrors
        self._copies = adapters.copies
        self._limits = limits
        self._engine = adapters.engine
        self._refusals = Refusals(ledgers.runs, adapters.engine, clock)
        self._readiness = Readiness(adapters)
        self._specs = specs
        self._handover = Handover(ledgers.runs, adapters, clock)
        self._rollback = Rollback(adapters, self._handover)
        self._heads = HeadClaims(ledgers.runs, adapters, clock)
        self._parked = ParkedLedger(ledgers.runs)
        self._terms = terms
        self._locks = context.locks
        self._clock = clock
        self.launch_time = timedelta(seconds=terms.launch_seconds)
        self._too_long = f"its launch took longer than {terms.launch_seconds / 60:g} minutes"
        self._promised: set[str] = set()

    def promise(self, run_id: str) -> None:
        """Announce this run's launch, so that it is not treated as abandoned."""
        self._promised.add(run_id)

    def withdraw(self, run_id: str) -> None:
        """Withdraw the announcement of this run's launch."""
        self._promised.discard(run_id)

    def has_promised(self, run_id: str) -> bool:
        """Return True until the announced launch of this run is over."""
        return run_id in self._promised

    def launch_once(self, run_id: str) -> bool:
        """Launch a run taken from the queue; return False if it did not start."""
        try:
            with self._locks.holding(run_id):
                return self._launch_held(run_id)
        finally:
            self.withdraw(run_id)

    def _launch_held(self, run_id: str) -> bool:
        with self._runs.stores.looking() as session:
            run = self._runs.find_in(session, run_id)
            project = self._projects.find(run.project_id, session) if run else None
        if run is None or project is None or run.status != Status.STARTING:
            return False
        with unit_of_work("launch", run_id=run_id, project_id=project.id):
            return self._try_launch(run, project)

    def _try_launch(self, run: Run, project: Project) -> bool:
        run_id = run.id
        made = LaunchSteps(claim=False, copy=False, process=False)
        try:
            launched = self._launch(run, project, made)
        except TakenAtOrigin as failure:
            # keep the claim of an issue's branch, or the loop would retry the same issue forever
            self._end(
                run, str(failure), RollbackResult(parked=run.work_branch if run.issue else "")
            )
            return False
        except PromptTooLong as failure:
            self._end_too_long(run, str(failure), made)
            return False
        except AccountFull as failure:
            self._end_undone(run_id, str(failure), made, Cause.USAGE_LIMIT)
            return False
        except (NotLaunched, OriginProblem, LaunchFailed, CannotRead) as failure:
            if isinstance(failure, OriginProblem):
                self._origins.record_trouble(project, failure)
            self._end_undone(run_id, sentence_of(failure), made, cause_of(failure))
            return False
        except Exception as problem:
            if cause_of(problem) is Cause.DISK_FULL:
                self._end_undone(run_id, sentence_of(problem), made, Cause.DISK_FULL)
                return False
            because = "something went wrong in Runyard; the log has the details"
            self._end_undone(run_id, because, made)
            raise
        if not self._has_begun(run, launched):
            self._undo_if_ended(run_id, made)
            return False
        self._engine.watch(run_id, launched.kept)
        failpoint("after_watch")
        return True

    def undo(self, run: Run, *, is_untouched: bool) -> None:
        """Roll back a launch that was cut short before its agent started.

        If no agent can have begun, the run is queued again, once; otherwise it ends.
        """
        timeline = self._runs.timeline(run.id)
        continues = was_to_continue(run, timeline)
        if not is_untouched or continues is None or any(REQUEUED in line.data for line in timeline):
            self._end_undone(run.id, NEVER_STARTED, LaunchSteps())
            return
        undone = self._rollback.once(run, self._projects.find(run.project_id))
        if undone.remains:
            self._runs.set_hold(run, undone.remains)  # tried again at the next check
        elif undone.parked and not self._handover.has_taken_over(run):
            self._end(run, NEVER_STARTED, undone)
        elif not self._engine.inspect(run.id, run.supervisor).is_untouched:
            self._end(run, NEVER_STARTED, undone)  # the processes just ended may have begun work
        else:
            # while it holds another run's work, it stays with its server, which settles that
            columns: RunColumns = {"taken_at": None, "supervisor": None, "hold": None}
            if not undone.parked:
                columns |= {"host": None, "instance": None, "server": None}
            if not continues:
                columns["base_sha"] = None
            self._requeue(run, columns)

    def _requeue(self, run: Run, columns: RunColumns) -> None:
        now = self._clock()
        with self._runs.stores.owner_of(run.id).transaction() as tx:
            self._runs.move(
                tx,
                run,
                Signal.CUT_SHORT,
                now=now,
                kind="note",
                sentence=f"back in the queue: {NEVER_STARTED}",
                data={REQUEUED: True},
                **columns,
            )

    def end_late(self, run: Run) -> bool:
        """End a run whose launch takes too long; the thread that launches it rolls it back."""
        is_ours = self.has_promised(run.id)
        if not is_ours and self._engine.inspect(run.id, run.supervisor).alive is None:
            return False  # it is unknown whether an agent is running
        return self._end(run, self._too_long, RollbackResult("its launch is being undone"))

    def halt(self, run_id: str) -> bool:
        """Kill everything a launch has started; return False if that could not be proved."""
        run = self._runs.find(run_id)
        return self._engine.kill(run_id, run.supervisor if run else None)

    def launch_by(self, run: Run) -> datetime:
        """Return the time (UTC) by which the agent of a taken run must be running."""
        return (run.taken_at or self._clock()) + self.launch_time

    def _launch(self, run: Run, project: Project, made: LaunchSteps) -> Launched:
        repo = repository_of(project)
        self._must_have_agent(run, project)
        if not self._mirrors.exists(repo):
            if self._parked.has_left_work(run):
                raise NotLaunched(AWAY)
            # the mirror is in another server's runs folder
            self._mirrors.clone(repo, progress=lambda _percent, _phase: None)  # nobody watches it
        self._mirrors.fetch(repo)
        self._origins.record_fetch(project)
        self._specs.must_be_trusted(run, project)
        self._must_be_wanted(run)
        change = self._heads.open_change(project, run)
        if continues(run):
            base, tip = self._take_over(repo, run)
        else:
            base = tip = self._begin(repo, run, change, made)
        made.claim = True
        failpoint("after_claim")
        self._prepare(repo, run, project, tip, made)
        failpoint("after_prepare")
        left = (self.launch_by(run) - self._clock()).total_seconds()
        order = self._specs.order(run, project, base, seconds=left)
        self._must_be_wanted(run)
        made.process = True
        failpoint("before_spawn")
        launched = self._engine.launch(order, lambda kept: self._keep(run, kept))
        failpoint("after_spawn")
        return launched

    def _keep(self, run: Run, kept: Kept) -> None:
        # before it starts: a Stop finds its processes, and a crash forgets nothing of it
        told: RunColumns = {"supervisor": dict(kept), "provenance": run.provenance}
        self._runs.update_fields(run.id, run.project_id, **told)
        failpoint("after_keep")
        self._must_be_wanted(run)

    def _take_over(self, repo: Repository, run: Run) -> tuple[str, str]:
        """Continue what an earlier run left; return its base and its tip."""
        try:
            return self._handover.take_over(repo, run)
        except NothingKept as reason:
            raise NotLaunched(str(reason)) from reason

    def _begin(self, repo: Repository, run: Run, change: Change | None, made: LaunchSteps) -> str:
        """Claim a branch at its current base; a retry first sets the kept work aside."""
        if run.retry_of is not None:
            try:
                self._handover.set_aside(repo, run)
            except NothingKept as reason:
                raise NotLaunched(str(reason)) from reason
        if change is not None:
            return self._heads.begin(repo, run, change)
        base = self._claim(repo, run, made)
        origin = f"branch {run.work_branch} from {run.branch_name}@{base[:7]}"
        self._append_event(run, "claimed", origin, branch=run.work_branch, base_sha=base)
        return base

    def _prepare(
        self, repo: Repository, run: Run, project: Project, tip: str, made: LaunchSteps
    ) -> None:
        # anything else at the copy's path is not ours to use or to remove
        if continues(run) and self._copies.exists(run.id):
            made.copy = True
            how = self._handover.leave_as_found(repo, run)
            self._append_event(run, "prepared", f"the working copy of {project.name} {how}")
            return
        self._heads.prepare_copy(repo, run, tip, continues=continues(run))
        made.copy = True
        included = self._copies.include(repo, run.id)
        extra = f" · {included} files of .runyardinclude" if included else ""
        self._append_event(run, "prepared", f"working copy of {project.name}{extra}")

    def _must_have_agent(self, run: Run, project: Project) -> None:
        # the agent may have been removed or signed out while the run waited
        unready = self._readiness.unready(project, run.agent, run.branch_name)
        if unready is not None:
            raise LaunchFailed(unready.sentence, cause=unready.cause)

    def _must_be_wanted(self, run: Run) -> None:
        now = self._clock()
        with self._runs.stores.looking() as session:
            latest = self._runs.find_in(session, run.id)
            held = self._limits.stops(session, run, now)
        if latest is None or latest.status != Status.STARTING:
            raise NotLaunched("it was stopped before its agent was started")
        if held:
            raise AccountFull(held)
        if self.launch_by(run) <= now:
            raise NotLaunched(self._too_long)

    def _claim(self, repo: Repository, run: Run, made: LaunchSteps) -> str:
        """Create the run's branch at origin's current base commit; return that commit."""
        base = self._mirrors.origin_tip(repo, run.branch_name)
        if base is None:
            raise NotLaunched(f"origin no longer has a branch {run.branch_name}")
        self._must_be_free_at_origin(repo, run)
        # saved first: after a crash past the claim, it says what to release
        self._runs.update_fields(run.id, run.project_id, base_sha=base)
        try:
            self._mirrors.claim(repo, run.work_branch, base)
        except BranchTaken as taken:
            raise NotLaunched(f"the branch {run.work_branch} exists already") from taken
        except Exception:
            # git may have created the branch before failing: roll back what is ours
            made.claim = True
            raise
        return base

    def _must_be_free_at_origin(self, repo: Repository, run: Run) -> None:
        branch = run.work_branch
        for found in self._mirrors.branches(repo):
            if not branches_collide(found.name, branch):
                continue
            if run.issue is not None:
                with suppress(BranchTaken):
                    self._mirrors.claim(repo, branch, found.sha)
            raise TakenAtOrigin(
                f"origin already has a branch {found.name}, so {branch} could not be pushed; "
                f"merge or delete it there, then discard {branch} here"
            )

    def _has_begun(self, run: Run, launched: Launched) -> bool:
        now = self._clock()
        with self._runs.stores.owner_of(run.id).transaction() as tx:
            moved = self._runs.move(
                tx,
                run,
                Signal.AGENT_ALIVE,
                now=now,
                kind="spawned",
                sentence=f"{run.agent} · pid {launched.mark.pid}",
                data={"pid": launched.mark.pid},
                started_at=now,
                deadline=now + timedelta(seconds=run.budget_seconds),
                pid=launched.mark.pid,
                supervisor=dict(launched.kept),
                provenance={**run.provenance, **launched.sandbox_facts},
                hold=None,
            )
        return moved is not None

    def _undo_if_ended(self, run_id: str, made: LaunchSteps) -> None:
        latest = self._runs.find(run_id)
        # if it has not ended, another server has taken it over and keeps it running
        if latest is not None and latest.status in DONE:
            self._end_undone(run_id, "", made)

    def _end_undone(
        self, run_id: str, because: str, made: LaunchSteps, cause: Cause = Cause.LAUNCH_FAILED
    ) -> None:
        """Roll back the steps taken, then end the run with what remains."""
        run = self._runs.find(run_id)
        if run is None:
            return
        # a setup command may have failed because a host was refused
        self._refusals.append_once(run.id)
        undone = self._rollback.once(run, self._projects.find(run.project_id), made)
        self._end(run, because, undone, cause)

    def _end_too_long(self, run: Run, because: str, made: LaunchSteps) -> None:
        """End a run whose prompt is too long; an issue stays claimed, so that the loop skips it."""
        made.claim = run.issue is None
        undone = self._rollback.once(run, self._projects.find(run.project_id), made)
        if run.issue is not None and not undone.remains:
            undone = RollbackResult(parked=run.work_branch)
        self._end(run, because, undone)

    def _end(
        self, run: Run, because: str, undone: RollbackResult, cause: Cause = Cause.LAUNCH_FAILED
    ) -> bool:
        now = self._clock()
        with self._runs.stores.owner_of(run.id).transaction() as tx:
            moved = self._runs.move(
                tx,
                run,
                Signal.LAUNCH_FAILED,
                now=now,
                kind="reaped",
                sentence=f"not started: {because}",
                cause=cause,
                because=because,
                released_at=None if undone.remains else now,
                may_resume=cause is Cause.USAGE_LIMIT and run.trigger not in WANTED_ELSEWHERE,
                hold=undone.remains or None,
                parked=bool(undone.parked),
            )
        return moved is not None

    def _append_event(self, run: Run, kind: str, sentence: str, **data: object) -> None:
        self._runs.append_event_once(run.id, self._clock(), kind, sentence, **data)
