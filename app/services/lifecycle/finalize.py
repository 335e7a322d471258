"""After a run ends: prove its processes gone, release it, and keep or remove its copy."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from app.domain.rules import is_opened_by_agent
from app.domain.words import Cause, Status
from app.failpoints import failpoint
from app.records.runs.run_columns import RunColumns
from app.records.tables import Project, Run
from app.services.context import Context, repository_of
from app.services.lifecycle.change_heads import ChangeHeads, is_as_prepared
from app.services.lifecycle.handover import Handover
from app.services.lifecycle.rollback import Rollback
from app.services.lifecycle.steps import Kills, append_unreadable_records, is_tidying
from app.services.ports import (
    CannotRead,
    Delivery,
    Mirrors,
    OriginProblem,
    Repository,
)

log = structlog.get_logger()
LOG_REPLACED = "the log was replaced while the run was going"


class StillThere(Exception):
    """Raised if something of a run could not be released yet; the message names it."""


@dataclass(frozen=True)
class Kept:
    """The result of a teardown: whether anything is parked, and why.

    `holds_work` is False if only a branch without commits is left.
    """

    parked: bool
    because: str
    holds_work: bool = True


def delivery_columns(delivery: Delivery) -> RunColumns:
    """Return the run columns that record a delivery."""
    stat = delivery.stat
    return {
        "head_sha": delivery.head_sha,
        "delivery": {
            "kind": delivery.kind,
            "number": delivery.number,
            "url": delivery.url,
            "state": delivery.state,
            "branch": delivery.branch,
            "head_sha": delivery.head_sha,
            "commits": stat.commits,
            "files_changed": stat.files_changed,
            "additions": stat.additions,
            "deletions": stat.deletions,
        },
    }


def judge_delivered(run: Run, tip: str) -> Kept:
    """Judge whether a delivered run's branch, now at `tip`, holds work found nowhere else."""
    delivery = run.delivery or {}
    if tip != delivery["head_sha"]:
        return Kept(True, f"{run.work_branch} moved after it was delivered")
    if delivery["state"] == "closed":
        return Kept(True, f"change request #{delivery['number']} was closed without merging")
    return Kept(False, "")


def let_go(mirrors: Mirrors, repo: Repository, branch: str, head_sha: str) -> None:
    """Delete a merged branch at origin, then its claim, each only if it has not moved."""
    try:
        mirrors.delete_at_origin(repo, branch, expected_sha=head_sha)
    except (OriginProblem, CannotRead, OSError) as problem:
        log.info("branch_left_at_origin", branch=branch, because=problem)
    try:
        mirrors.release(repo, branch, expected_sha=head_sha)
    except (CannotRead, OSError) as problem:
        # the merge itself is done: the claim is removed at the next start
        log.warning("claim_left_after_merge", branch=branch, because=problem)


class Finalizer:
    """Ends leftover processes, then rolls back or tears down; repeated until proved gone."""

    def __init__(self, context: Context, kills: Kills) -> None:
        runs, adapters, clock = context.ledgers.runs, context.adapters, context.clock
        self._runs = runs
        self._mirrors = adapters.mirrors
        self._copies = adapters.copies
        self._engine = adapters.engine
        self._homes = adapters.homes
        self._workers = context.workers
        self._clock = clock
        self._kills = kills
        self._heads = ChangeHeads(adapters)
        self._handover = Handover(runs, adapters, clock)
        self._rollback = Rollback(adapters, self._handover)

    def settle(self, run: Run, project: Project) -> None:
        """Release an ended run if proved gone, otherwise kill what is left of it.

        The caller holds the run's lock.
        """
        observation = self._engine.inspect(run.id, run.supervisor)
        if observation.has_untrue_records:
            append_unreadable_records(self._runs, run, self._clock())
        if not observation.tree_gone:
            now = self._clock()
            if not is_tidying(observation, run.ended_at or now, now):
                self._kills.begin(run, "stopping the rest of it")
            return
        self._collect_sign_in(run)
        try:
            kept = self._judge(run, project)
        except StillThere as rest:
            self._runs.set_hold(run, str(rest))
            return
        except (CannotRead, OSError) as problem:
            log.warning("left_work_not_read", run_id=run.id, because=problem)
            kept = Kept(True, f"{run.work_branch} could not be read: {problem}")
        sentence = "its slot is free again"
        if self._runs.release(
            run,
            now=self._clock(),
            sentence=sentence,
            parked=kept.parked,
            holds_work=kept.holds_work,
        ):
            self._engine.unwatch(run.id)
            # on a full disk the log could not even be created
            if run.cause != Cause.DISK_FULL and self._engine.log(run.id).is_replaced:
                self._runs.append_event_once(run.id, self._clock(), "note", LOG_REPLACED)
            if kept.parked:
                self._runs.append_event_once(run.id, self._clock(), "parked", kept.because)

    def _collect_sign_in(self, run: Run) -> None:
        for sentence in self._homes.keep_in_step(run.project_id, run.agent):
            self._runs.append_event_once(run.id, self._clock(), "note", sentence)

    def _judge(self, run: Run, project: Project) -> Kept:
        """Roll back a run that never started, tear down one that did. Raises StillThere."""
        if run.status == Status.NOT_STARTED:
            undone = self._rollback.clear(run, project)
            if undone.remains:
                raise StillThere(undone.remains)
            return Kept(bool(undone.parked), undone.parked)
        try:
            took_over = self._handover.complete(run)
        except (CannotRead, OSError) as problem:
            raise StillThere(f"what it took over is not with it yet: {problem}") from problem
        if took_over or run.started_at is not None:
            return self._tear_down(run, project)
        return self._release(run, project)

    def _release(self, run: Run, project: Project) -> Kept:
        """Finish a run that was stopped before it began and has taken over no work."""
        kept = Kept(False, "")
        if not self._handover.is_anothers(run):
            kept = self._tear_down(run, project)
        if run.retry_of is not None and not kept.parked:
            try:
                self._handover.bring_back(repository_of(project), run)
            except (CannotRead, OSError) as problem:
                because = f"{run.work_branch} has not its old work back yet: {problem}"
                raise StillThere(because) from problem
        return kept

    def _tear_down(self, run: Run, project: Project) -> Kept:
        if run.base_sha is None:
            return Kept(False, "")
        repo = repository_of(project)
        if self._copies.exists(run.id):
            try:
                self._copies.put_back(repo, run.id, is_over=True)
                tip = self._copies.import_work(repo, run.id, run.work_branch)
                state = self._copies.inspect(repo, run.id, tip=tip)
                is_clean = state.is_clean or (
                    tip == run.base_sha and is_as_prepared(self._copies, repo, run)
                )
            except (CannotRead, OSError) as problem:
                return Kept(
                    True, f"{run.work_branch}: the working copy could not be read: {problem}"
                )
            if not is_clean:
                return Kept(True, f"{run.work_branch} holds {state.holds}")
        elif run.started_at is not None and not self._copies.path(run.id).parent.is_dir():
            return Kept(True, f"{run.work_branch}: the folder of working copies is away")
        # also removes what an interrupted removal left
        if not self._is_removed(run):
            return Kept(True, f"{run.work_branch}: the working copy could not be removed")
        failpoint("during_teardown")
        return self._judge_branch(run, project)

    def _is_removed(self, run: Run) -> bool:
        try:
            self._copies.remove(run.id)
        except (CannotRead, OSError) as problem:
            log.warning("working_copy_not_removed", run_id=run.id, because=problem)
            return False
        return True

    def _judge_branch(self, run: Run, project: Project) -> Kept:
        repo = repository_of(project)
        tip = self._mirrors.tip(repo, run.work_branch)
        if tip is None:
            return Kept(False, "")
        if run.delivery is not None:
            tip = self._caught_up(run, repo, tip, run.delivery["head_sha"])
            kept = judge_delivered(run, tip)
            if not kept.parked and run.delivery["state"] == "merged":
                # merged before the run was proved gone: deleting the branch was left to this
                self._workers.carry_on(let_go, self._mirrors, repo, run.work_branch, tip)
            return kept
        if run.pr_number is not None:
            return self._judge_head(run, project, tip)
        if run.cause == Cause.REPORTED and tip == run.base_sha:
            # a report has nothing to deliver and nothing for a later run to continue
            self._mirrors.release(repo, run.work_branch, expected_sha=tip)
            return Kept(False, "")
        commits = self._mirrors.stat(repo, run.base_sha or tip, tip).commits
        if not commits and run.issue is None and run.status != Status.LIMITED:
            # it claims and holds nothing; a run at its usage limit would continue its session here
            self._mirrors.release(repo, run.work_branch, expected_sha=tip)
            return Kept(False, "")
        if not commits:
            because = f"{run.work_branch} is kept as a claim, without commits"
            return Kept(True, because, holds_work=False)
        return _holding(run, commits)

    def _caught_up(self, run: Run, repo: Repository, tip: str, head: str) -> str:
        """Point a branch at the request that its agent opened, if that has all it holds, and more.

        Return where the branch is now.
        """
        is_behind = tip != head and is_opened_by_agent(run.provenance)
        if not is_behind or self._mirrors.stat(repo, head, tip).commits:
            return tip
        self._heads.put_back(repo, run.work_branch, head)
        return head

    def _judge_head(self, run: Run, project: Project, tip: str) -> Kept:
        """Judge the branch of a change request, to which its run has added nothing at origin."""
        repo, base = repository_of(project), run.base_sha or tip
        commits = self._mirrors.stat(repo, base, tip).commits
        if commits:
            return _holding(run, commits)
        self._heads.put_back(repo, run.work_branch, base)
        change = self._heads.find(project, run)
        if change is not None and change.state == "merged" and change.head_sha == base:
            # merged while this run worked on it: deleting the branch was left to this
            self._workers.carry_on(let_go, self._mirrors, repo, run.work_branch, base)
        return Kept(False, "")


def _holding(run: Run, commits: int) -> Kept:
    counted = "1 commit" if commits == 1 else f"{commits} commits"
    return Kept(True, f"{run.work_branch} holds {counted}")
