"""Delivering a run's commits: push, then open the change request; safe to repeat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from app.domain.backoff import Backoff
from app.domain.lifecycle import Signal
from app.domain.projects.check_rounds import Marks, marks_of, read_plan
from app.domain.review.base_merges import read_merge
from app.domain.rules import Verdict, is_opened_by_agent
from app.domain.words import Cause, Status
from app.failpoints import failpoint
from app.records.runs.check_ledger import CheckLedger, outcome_of
from app.records.runs.handover_ledger import HandoverLedger
from app.records.runs.run_ledger import RunLedger
from app.records.tables import CheckResult, Project, Run
from app.services.concurrency import Locks
from app.services.context import Adapters, Context, repository_of
from app.services.lifecycle.agent_openings import AgentOpenings
from app.services.lifecycle.change_heads import ChangeHeads, closed_words, why_unresolved
from app.services.lifecycle.finalize import delivery_columns
from app.services.lifecycle.owner_hooks import append_left_out_hooks
from app.services.lifecycle.transitions import Line, Transitions
from app.services.ports import (
    CannotRead,
    ChangeOrder,
    Delivery,
    DiffStat,
    ForgeSilent,
    OriginProblem,
    Repository,
)
from app.services.push_checks import NOT_PUSHED, PushChecks, Unchecked
from app.services.system.ownership import Leases
from app.services.system.quarantine import Quarantine, of_run
from app.services.tracing import unit_of_work

log = structlog.get_logger()


BESIDE = "another server opens a request of its branch"
PAUSES = Backoff(timedelta(seconds=5), timedelta(minutes=10))


@dataclass(frozen=True)
class NotDelivered:
    """The reason nothing was delivered, as a sentence; `for_good` means retrying cannot help.

    `cause` becomes the run's cause if its delivery ends; `unchecked` is set if a check before the
    push could not be made.
    """

    because: str
    for_good: bool
    cause: Cause = Cause.PUSH_REFUSED
    unchecked: Unchecked | None = None


class Deliverer:
    """Pushes branches and opens change requests, backing off while origin or tracker is silent."""

    def __init__(
        self,
        runs: RunLedger,
        adapters: Adapters,
        checks: PushChecks,
        clock: Callable[[], datetime],
        locks: Locks,
        leases: Leases,
    ) -> None:
        self._runs = runs
        self._heads = ChangeHeads(adapters)
        self._openings = AgentOpenings(adapters, runs)
        self._locks = locks
        self._leases = leases
        self._handovers = HandoverLedger(runs)
        self._results = CheckLedger(runs)
        self._mirrors = adapters.mirrors
        self._checks = checks
        self._forge_of = adapters.forge_of
        self._clock = clock
        # when a run's delivery is due again, and its consecutive failures
        self._pauses: dict[str, tuple[datetime, int]] = {}
        # consecutive failed checks of a run's commits
        self._looks: dict[str, int] = {}

    def is_due(self, run_id: str) -> bool:
        """Return True unless a pause holds back the run's delivery."""
        due, _ = self._pauses.get(run_id, (self._clock(), 0))
        return self._clock() >= due

    def deliver(self, run: Run, project: Project) -> Delivery | NotDelivered:
        """Deliver as `deliver_now` does; if nothing answered, begin a pause and set a hold.

        After too many consecutive failed checks of the commits, give up and leave them to a person.
        """
        outcome = self._given_up(run, self.deliver_now(run, project))
        if isinstance(outcome, NotDelivered) and not outcome.for_good:
            self._wait(run, outcome.because)
        return outcome

    def put_off(self, run: Run) -> None:
        """Begin a pause after the exception being handled; its traceback is logged once per run."""
        # origin is not asked at every tick until the fault is fixed
        write = log.info if run.id in self._pauses else log.error
        write("delivery_failed", run_id=run.id, exc_info=True)
        self._wait(run, "internal error; see the log")

    def forget(self, run_id: str) -> None:
        """Drop the run's pause: it is delivered, or never will be."""
        self._pauses.pop(run_id, None)
        self._looks.pop(run_id, None)

    def deliver_now(
        self, run: Run, project: Project, *, push_anyway: bool = False
    ) -> Delivery | NotDelivered:
        """Push the run's branch as it stands in the mirror and open its change request, once.

        For a person's click: ignores pauses and begins none, writes only the timeline events of its
        push, and may wait on origin for up to 120 s for the push and 60 s to verify it. The caller
        holds the run's lock, has taken the copy's commits into the mirror, and writes the outcome.
        Safe to repeat: a branch already pushed and a change request already open are returned
        again. `push_anyway` overrides objections of the checks before the push.

        A silent origin or tracker, an origin that is away, or a mirror that cannot be read is
        `NotDelivered(because, for_good=False)`: nothing is known, try again later. A refused push
        (sign-in, protected branch, foreign commits on the branch), a push that origin does not
        show, or a branch that is gone is `NotDelivered(because, for_good=True)`. None of these is
        raised; only a silent database is (DatabaseSilent).
        """
        try:
            if run.pr_number is None and is_opened_by_agent(run.provenance):
                return self._adopt(run, project, push_anyway=push_anyway)
            if run.pr_number is None:
                return self._push_and_open(run, project, push_anyway=push_anyway)
            # a merge at the same time would delete the branch, or leave out what is pushed
            with self._locks.holding(f"merge {project.id}"):
                return self._push_and_update(run, project, push_anyway=push_anyway)
        except OriginProblem as problem:
            return NotDelivered(problem.sentence, problem.for_good)
        except ForgeSilent as silence:
            return NotDelivered(str(silence) or "the tracker did not answer", for_good=False)
        except Unchecked as problem:
            log.warning("delivery_postponed", run_id=run.id, because=problem)
            return NotDelivered(str(problem), for_good=False, unchecked=problem)
        except (CannotRead, OSError) as problem:
            log.warning("mirror_not_read", run_id=run.id, because=problem)
            return NotDelivered(f"the mirror could not be read: {problem}", for_good=False)

    def _push_and_open(
        self, run: Run, project: Project, *, push_anyway: bool
    ) -> Delivery | NotDelivered:
        tip = run.head_sha if self._is_merged(run, project) else None
        tip = tip or self._push(run, project, push_anyway=push_anyway)
        if isinstance(tip, NotDelivered):
            return tip
        return self._open(run, project, self._order(run, project, tip))

    def _order(self, run: Run, project: Project, tip: str) -> ChangeOrder:
        repo, base = repository_of(project), run.base_sha or tip
        closing = f"\n\nCloses #{run.issue}" if run.issue else ""
        return ChangeOrder(
            run_id=run.id,
            title=run.title,
            body=f"Made by run {run.id} with {run.agent}.{self._marks_text(run, tip)}{closing}",
            base=run.branch_name,
            branch=run.work_branch,
            base_sha=base,
            head_sha=tip,
            stat=self._mirrors.stat(repo, base, tip),
            closes=run.issue,
            draft=self.is_red(run),
            since=run.taken_at or run.created_at,
        )

    def _open(self, run: Run, project: Project, order: ChangeOrder) -> Delivery | NotDelivered:
        place = f"{project.forge_id or project.id} {project.repository} {run.work_branch}"
        with self._leases.holding(place, run.id, self._clock()) as is_ours:
            if not is_ours:
                return NotDelivered(BESIDE, for_good=False)
            repo = repository_of(project)
            return self._forge_of(project).open_change(repo, order, now=self._clock())

    def _adopt(self, run: Run, project: Project, *, push_anyway: bool) -> Delivery | NotDelivered:
        """Take over the pull request that the run's agent opened.

        Without one a run ends; only a person's click has Runyard open it, and only where its agent
        has left none open.
        """
        found = self._openings.find(run, project)
        if found.kept is None:
            because = found.because if run.status == Status.DELIVERING else found.in_the_way
            if because:
                return NotDelivered(because, True, Cause.NO_DELIVERY)
            return self._push_and_open(run, project, push_anyway=push_anyway)
        taken = self._openings.take_over(
            run, project, found.kept, self._clock(), check=self._checks.objection
        )
        head, measured = taken.head, taken.measured
        if taken.is_behind:  # its agent made commits after its push
            pushed = self._push(run, project, push_anyway=push_anyway, began=head)
            if isinstance(pushed, NotDelivered):
                return pushed
            head = measured = pushed
        order = self._order(run, project, measured)
        adopting = replace(order, head_sha=head, adopts=found.kept.number, doubles=found.doubles)
        return self._open(run, project, adopting)

    def _is_merged(self, run: Run, project: Project) -> bool:
        """Return True if the answer to its opening was lost, and somebody has merged it since.

        Its branch may have been deleted with that: a push would make it again.
        """
        if project.forge_id is None or not self._handovers.pushed_by([run]):
            return False
        began = run.taken_at or run.created_at
        found = self._forge_of(project).delivery_of(
            repository_of(project), run.id, run.work_branch, since=began
        )
        return found is not None and found.state == "merged"

    def _push_and_update(
        self, run: Run, project: Project, *, push_anyway: bool
    ) -> Delivery | NotDelivered:
        """Push new commits to the branch of the run's change request, and update that."""
        self._heads.cancel_merge(project, run)
        repo, change = repository_of(project), self._heads.find(project, run)
        closed = closed_words(run.pr_number, change)
        if change is None or closed is not None:
            return NotDelivered(f"not pushed: {closed}", for_good=True)
        merge = read_merge(run.merging)
        tip = self._push(run, project, push_anyway=push_anyway)
        if isinstance(tip, NotDelivered):
            return tip
        # with its base merged in, a change begins where that was
        base = change.base_sha if merge is None else merge.theirs
        whole, marks = self._mirrors.stat(repo, base, tip), self._marks_text(run, tip)
        updated = self._forge_of(project).update_change(
            repo,
            change.number,
            head_sha=tip,
            stat=whole,
            base_sha=base,
            draft=None if run.checks is None else self.is_red(run),
            note=f"Updated by run {run.id} with {run.agent}.{marks}" if marks else "",
        )
        failpoint("delivery.after_update")
        if updated is None:
            return NotDelivered(f"change request #{change.number} is no longer open", for_good=True)
        return replace(updated, stat=self._own_stat(repo, run, tip))

    def _own_stat(self, repo: Repository, run: Run, tip: str) -> DiffStat:
        """Return the size of what a run added to its change."""
        began, merge = run.base_sha or tip, read_merge(run.merging)
        own = self._mirrors.stat(repo, began, tip)
        if merge is None:
            return own
        brought = self._mirrors.stat(repo, began, merge.theirs).commits
        return replace(self._mirrors.stat(repo, merge.theirs, tip), commits=own.commits - brought)

    def _push(
        self, run: Run, project: Project, *, push_anyway: bool, began: str | None = None
    ) -> str | NotDelivered:
        """Check and push the run's commits since `began`; return the commit that origin has now."""
        repo = repository_of(project)
        tip = self._mirrors.tip(repo, run.work_branch)
        if tip is None or run.base_sha is None:
            return NotDelivered(f"the branch {run.work_branch} is gone from the mirror", True)
        if run.status == Status.DELIVERING and run.head_sha:
            # push what was taken: an unsandboxed agent may have moved the branch since
            tip = run.head_sha
        merge = read_merge(run.merging)
        if not push_anyway and (left := why_unresolved(self._mirrors, repo, run, tip)):
            return NotDelivered(left, True, Cause.NO_DELIVERY)
        # what its base brought in, or its agent pushed, is at origin already
        began = began or (run.base_sha if merge is None else merge.theirs)
        objection = None if push_anyway else self._checks.objection(repo, began, tip)
        if objection is not None:
            return NotDelivered(objection.sentence, True, objection.cause)
        # written before the push: if we crash after it, a discard must know the branch is ours
        self._handovers.record_push(run, tip, self._clock())
        failpoint("delivery.before_push")
        # push exactly the commit that was checked, even if the branch has moved since
        pushed = self._mirrors.push(repo, run.work_branch, sha=tip)
        if pushed.hooks_changed:
            append_left_out_hooks(self._runs, run.id, project, self._clock())
        if not pushed.accepted:
            return NotDelivered(f"push refused: {pushed.because}", for_good=True)
        failpoint("delivery.after_push")
        return tip

    def is_red(self, run: Run) -> bool:
        """Return True if a required check of the run's last round did not pass."""
        return _marks(run, self._results.last_round(run.id)).is_red

    def _marks_text(self, run: Run, tip: str) -> str:
        """Return the results of the run's last round of checks, for the change's text."""
        rows = self._results.last_round(run.id)
        lines = [f"- {line}" for line in _marks(run, rows).lines]
        if rows and rows[0].sha != tip:
            lines = [f"Checked at {rows[0].sha[:7]}, before its last commits:\n", *lines]
        return "\n\n" + "\n".join(lines) if lines else ""

    def _given_up(self, run: Run, outcome: Delivery | NotDelivered) -> Delivery | NotDelivered:
        unchecked = outcome.unchecked if isinstance(outcome, NotDelivered) else None
        if unchecked is None:
            self._looks.pop(run.id, None)
            return outcome
        looks = self._looks[run.id] = self._looks.get(run.id, 0) + 1
        if looks < unchecked.most_looks:
            return outcome
        return NotDelivered(f"{NOT_PUSHED}{unchecked}", for_good=True)

    def _wait(self, run: Run, because: str) -> None:
        _, failures = self._pauses.get(run.id, (None, 0))
        self._pauses[run.id] = (self._clock() + PAUSES.after(failures + 1), failures + 1)
        self._runs.set_hold(run, f"delivery waits: {because}")


class Deliveries:
    """Delivers each run on a worker that holds the run's lock, so that a Stop waits for it.

    The run is checked again after each attempt, whatever its outcome.
    """

    def __init__(
        self,
        context: Context,
        deliverer: Deliverer,
        transitions: Transitions,
        quarantine: Quarantine,
    ) -> None:
        self._runs = context.ledgers.runs
        self._projects = context.ledgers.projects
        self._deliverer = deliverer
        self._transitions = transitions
        self._locks = context.locks
        self._workers = context.workers
        self._inspect_run = context.inspect_run
        self._quarantine = quarantine
        self._begun: set[str] = set()

    def begin(self, run: Run) -> None:
        """Schedule the run's delivery unless it is paused, quarantined or already under way."""
        is_free = not self._quarantine.is_held(of_run("delivery", run).key)
        if is_free and run.id not in self._begun and self._deliverer.is_due(run.id):
            self._begun.add(run.id)
            self._workers.carry_on(self._deliver, run.id)

    def forget(self, run_id: str) -> None:
        """Drop the run's pause: nothing more of it will be delivered."""
        self._deliverer.forget(run_id)

    def _deliver(self, run_id: str) -> None:
        try:
            with self._locks.holding(run_id):
                run = self._runs.find(run_id)
                project = self._projects.find(run.project_id) if run else None
                # a Stop may have come first
                if run is not None and project is not None and run.status == Status.DELIVERING:
                    with unit_of_work("deliver", run_id=run_id, project_id=project.id):
                        self._try(run, project)
        finally:
            self._begun.discard(run_id)
        # for follow-ups, and for checks put off while the lock was held
        self._inspect_run(run_id)

    def _try(self, run: Run, project: Project) -> None:
        try:
            self._write(run, project)
        except Exception as problem:
            self._deliverer.put_off(run)
            self._quarantine.count(of_run("delivery", run), problem)

    def _write(self, run: Run, project: Project) -> None:
        outcome = self._deliverer.deliver(run, project)
        if not isinstance(outcome, NotDelivered):
            is_red = self._deliverer.is_red(run)
            cause = Cause.DELIVERED_RED if is_red else Cause.DELIVERED
            how = " as a draft" if is_red else ""
            verdict = Verdict(Signal.DELIVERED, cause, f"delivered #{outcome.number}{how}")
            done = "opened" if run.pr_number is None else "updated"
            done += " by its agent" if is_opened_by_agent(run.provenance) else ""
            line = Line("delivered", f"change request #{outcome.number} {done}{how}")
            self._transitions.write(run, verdict, line, **delivery_columns(outcome))
        elif outcome.for_good:
            verdict = Verdict(Signal.PUSH_REFUSED, outcome.cause, outcome.because)
            self._transitions.write(run, verdict, Line("reaped", outcome.because))


def _marks(run: Run, rows: list[CheckResult]) -> Marks:
    if run.checks is None:
        return Marks()
    return marks_of(read_plan(run.checks), [outcome_of(one) for one in rows])
