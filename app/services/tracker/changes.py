"""Change requests of the built-in tracker: reading, merging and closing them."""

from __future__ import annotations

from datetime import datetime

import structlog

from app.domain.review.autoland import timeline_words
from app.domain.tracker.merge_waits import CLOSED
from app.domain.words import AfterClose
from app.errors import (
    AlreadyEnded,
    ForgeUnavailable,
    Invalid,
    NotChecked,
    NotDiscarded,
    NotFound,
    ProjectArchived,
)
from app.failpoints import failpoint
from app.records.database.database import begin_to_write
from app.records.feed import ObstacleRemoved
from app.records.projects.change_ends import newest_ended, undecided
from app.records.runs.handover_ledger import HandoverLedger
from app.records.runs.parked_ledger import ParkedLedger
from app.records.runs.run_columns import RunColumns
from app.records.tables import ChangeRequest, Project, Run
from app.services.approvals.merges import MergeApprovals
from app.services.context import Context, repository_of
from app.services.lifecycle.finalize import let_go
from app.services.lifecycle.owner_hooks import append_left_out_hooks
from app.services.ports import CannotRead, Diff, Repository
from app.services.push_checks import PUSH_ANYWAY, PushChecks, Unchecked, refusal_of
from app.services.runs.open_runs import locked_by
from app.services.system.origin_watch import OriginWatch
from app.services.tracker.conflicts import conflict_of
from app.services.tracker.merging import Merger

log = structlog.get_logger()
# more than can be in progress when a server is killed
LAST_ENDED = 100


class ChangeService:
    """Reads, merges and closes change requests."""

    def __init__(
        self,
        context: Context,
        checks: PushChecks,
        origins: OriginWatch,
        approvals: MergeApprovals,
    ) -> None:
        ledgers, adapters = context.ledgers, context.adapters
        self._tracker = ledgers.tracker
        self._projects = ledgers.projects
        self._runs = ledgers.runs
        self._mirrors = adapters.mirrors
        self._copies = adapters.copies
        self._checks = checks
        self._origins = origins
        self.approvals = approvals
        self.merger = Merger(context, origins)
        self._parked = ParkedLedger(ledgers.runs)
        self._handovers = HandoverLedger(ledgers.runs)
        self._locks = context.locks
        self._publish = context.feed.publish

    def all(self, project_id: str) -> list[ChangeRequest]:
        """Return a project's change requests, newest first. Raises NotFound."""
        self._project(project_id)
        return self._tracker.changes(project_id)

    def find(self, project_id: str, number: int) -> ChangeRequest:
        """Return one change request. Raises NotFound."""
        change = self._tracker.change(project_id, number)
        if change is None:
            raise NotFound(f"{self._project(project_id).name} has no change request #{number}.")
        return change

    def refuse_archived(self, project_id: str) -> None:
        """Raise ProjectArchived if a project's changes are only to be read."""
        if self._project(project_id).archived_at is not None:
            raise ProjectArchived

    def diff(self, project_id: str, number: int) -> Diff:
        """Return the diff of a change request. Raises NotFound."""
        change = self.find(project_id, number)
        repo = repository_of(self._project(project_id))
        return self._mirrors.diff(repo, change.base_sha, change.head_sha)

    def merge(
        self,
        project_id: str,
        number: int,
        now: datetime,
        *,
        push_anyway: bool = False,
        head_sha: str | None = None,
        is_done: bool = False,
    ) -> ChangeRequest:
        """Merge in the mirror, push to origin, and close the issue it closes. Raises a Refusal.

        `push_anyway` skips the push checks and allows a merge of more commits than it shows.
        A forge may be made to merge it later: then it is still open. With `head_sha`, only a
        change at that commit is merged. `is_done`: origin's base holds it already, so that no
        approval could keep it out.
        """
        project = self._project(project_id)
        repo = repository_of(project)
        with self._locks.holding(f"merge {project_id}"):
            change = self._open(project_id, number, head_sha)
            if not is_done:
                self.approvals.require(project, change, now)
            if not push_anyway:
                self._refuse_unchecked(repo, change)
            answer = self.merger.merge(project, change, only_shown=not push_anyway)
            if answer.hooks_changed and change.run_id is not None:
                append_left_out_hooks(self._runs, change.run_id, project, now)
            if answer.brings_more:
                raise NotChecked(f"{answer.because}: more would be merged than it shows.")
            if answer.waits_for is not None:
                return self.merger.note_scheduled(change, answer.waits_for)
            if answer.sha is None:
                self._origins.record_fetch(project)
                raise conflict_of(answer)
            begin_to_write()
            failpoint("merge.after_push")
            merged = self._end(change, "merged", now, merged_sha=answer.sha)
        self._clear(project, merged)
        self._origins.record_fetch(project)
        self._publish([ObstacleRemoved()])
        return merged

    def record_end(
        self, change: ChangeRequest, state: str, now: datetime, *, merged_sha: str | None
    ) -> None:
        """Record what became of a pull request at its forge, whoever ended it."""
        project = self._project(change.project_id)
        with self._locks.holding(f"merge {project.id}"):
            ended = self._tracker.end_change(
                project.id, change.number, state=state, now=now, merged_sha=merged_sha
            )
            if ended is not None:
                self._append_event(ended, now)
        if ended is not None:
            if _leaves_nothing(ended):
                self._clear(project, ended)
            self._publish([ObstacleRemoved()])

    def close(
        self,
        project_id: str,
        number: int,
        now: datetime,
        because: str | None = None,
        after: AfterClose = AfterClose.PARK,
    ) -> ChangeRequest:
        """Close without merging, for a reason; `after` is the place of its issue.

        The branch stays, parked, unless the issue goes back to the queue, or the change only
        reverts another one. If origin's base holds the change already, record the merge and raise
        AlreadyEnded. Raises a Refusal.
        """
        project = self._project(project_id)
        with self._locks.holding(f"merge {project_id}"):
            change = self._open(project_id, number)
            if change.closes is None and after is not AfterClose.PARK:
                raise Invalid.field("issue", "This change request closes no issue.")
            merged_sha = self.merger.call_off(project, change, CLOSED)
            if merged_sha is None and self.merger.merged_at_origin(project, [change]):
                merged_sha = change.head_sha
            if merged_sha is None:
                if after is AfterClose.QUEUE:
                    self._refuse_more(project, change)
                self.merger.close_there(project, change, because)
                change = self._end(change, "closed", now, because=because, after=after)
        if merged_sha is not None and project.forge_id is not None:
            self.record_end(change, "merged", now, merged_sha=merged_sha)
        elif merged_sha is not None:
            self.merge(project_id, number, now, push_anyway=True, is_done=True)
        if merged_sha is not None:
            raise AlreadyEnded(
                "Origin already shows this change as merged; it is now marked so here."
            )
        if _leaves_nothing(change):
            self._clear(project, change)
        self._publish([ObstacleRemoved()])
        return change

    def finish_once(self, now: datetime) -> int:
        """Complete merges and closes that a crash interrupted. Return how many.

        Checks open change requests and those ended last, which include any from a crash. May call
        origins, so it is not part of a sweep.
        """
        finished = 0
        for project in self._projects.all():
            finished += self._finish_merges(project, now)
        for change in newest_ended(self._runs.stores, limit=LAST_ENDED):
            try:
                finished += self._finish(change, now)
            except Exception:
                log.exception("change_not_finished", change=change.number)
        return finished

    def _finish_merges(self, project: Project, now: datetime) -> int:
        """Complete merges that were pushed to origin's base but not recorded. Return how many."""
        if project.forge_id is not None:
            return 0  # its forge says what was merged: see PullRequestWatch
        is_open = undecided(self._runs.stores, project.id)
        found = self.merger.merged_at_origin(project, is_open) if is_open else []
        for change in found:
            try:
                self.merge(project.id, change.number, now, push_anyway=True, is_done=True)
            except Exception:
                log.exception("change_not_finished", change=change.number)
        return len(found)

    def _finish(self, change: ChangeRequest, now: datetime) -> bool:
        run, project = self._run_of(change), self._projects.find(change.project_id)
        if project is None or (run is None and change.run_id is not None):
            return False
        is_told = run is None or run.delivery is None or run.delivery["state"] == change.state
        if not is_told:
            self._append_event(change, now)
        is_cleared = (
            _leaves_nothing(change)
            and self._is_left(project, change)
            and self._clear(project, change)
        )
        return is_cleared or not is_told

    def _open(self, project_id: str, number: int, head_sha: str | None = None) -> ChangeRequest:
        """Return an open change request whose run's store answers, too. Raises a Refusal."""
        change = self.find(project_id, number)
        if change.state != "open":
            raise AlreadyEnded(f"This change request is already {change.state}.")
        if head_sha not in (None, change.head_sha):
            raise NotChecked("Not merged: it has new commits.")
        self._run_of(change)
        return change

    def _run_of(self, change: ChangeRequest) -> Run | None:
        """Return the run that opened a change, None for one that reverts another."""
        return None if change.run_id is None else self._runs.find(change.run_id)

    def _is_left(self, project: Project, change: ChangeRequest) -> bool:
        """Return True if the merged run still has its copy or claim and no other run uses them."""
        users = {run.id for run in self._parked.of_branch(project.id, change.branch)}
        open_run = self._parked.open_run(project.id, change.branch)
        users |= {open_run.id} if open_run else set()
        if users - {change.run_id}:
            return False
        if change.run_id is not None and self._copies.exists(change.run_id):
            return True
        return self._mirrors.tip(repository_of(project), change.branch) == change.head_sha

    def _refuse_more(self, project: Project, change: ChangeRequest) -> None:
        """Raise PrLock or NotDiscarded if a change's branch must stay for what else it holds."""
        holder = self._parked.open_run(project.id, change.branch)
        if holder is not None:
            raise locked_by(holder)
        if not self._is_all_of_it(project, change):
            raise NotDiscarded(
                f"{change.branch} holds more than change request #{change.number} shows, or cannot"
                " be read. Discard the rest first, or keep the issue parked."
            )

    def _is_all_of_it(self, project: Project, change: ChangeRequest) -> bool:
        """Return True if a change request shows all the work that its branch and copy hold."""
        run, repo = self._run_of(change), repository_of(project)
        others = {one.id for one in self._parked.of_branch(project.id, change.branch)}
        if run is None or others - {run.id}:
            return False
        try:
            if self._mirrors.tip(repo, change.branch) != change.head_sha:
                return False
            return not self._copies.exists(run.id) or self._holds_only(repo, run, change)
        except (CannotRead, OSError) as problem:
            log.info("work_not_read_before_close", because=problem)
            return False

    def _refuse_unchecked(self, repo: Repository, change: ChangeRequest) -> None:
        """Raise a Refusal if a push check objects or cannot read, unless a person overrode it."""
        lines = [] if change.run_id is None else self._runs.timeline(change.run_id)
        if any(line.data.get(PUSH_ANYWAY) for line in lines):
            return
        try:
            objection = self._checks.objection(repo, change.base_sha, change.head_sha)
        except Unchecked as problem:
            raise NotChecked(f"Not merged: {problem}") from problem
        except (CannotRead, OSError) as problem:
            raise ForgeUnavailable(f"The mirror could not be read: {problem}") from problem
        if objection is not None:
            raise refusal_of(objection.cause, objection.sentence)

    def _end(
        self,
        change: ChangeRequest,
        state: str,
        now: datetime,
        *,
        merged_sha: str | None = None,
        because: str | None = None,
        after: AfterClose | None = None,
    ) -> ChangeRequest:
        ended = self._tracker.end_change(
            change.project_id,
            change.number,
            state=state,
            now=now,
            merged_sha=merged_sha,
            because=because,
            after=after,
        )
        if ended is None:
            raise AlreadyEnded("This change request was ended a moment ago.")
        failpoint("after_change_ended")
        self._append_event(ended, now)
        return ended

    def _append_event(self, ended: ChangeRequest, now: datetime) -> None:
        for run in self._handovers.of_branch(ended.project_id, ended.branch):
            if run.pr_number == ended.number and run.delivery is not None:
                delivery = run.delivery | {"state": ended.state}
                self._runs.update_fields(run.id, run.project_id, delivery=delivery)
        run = self._run_of(ended)
        if run is None or run.delivery is None:
            return
        columns: RunColumns = {"delivery": run.delivery | {"state": ended.state}}
        if ended.state == "closed":
            columns["parked"] = True
        self._runs.update_fields(run.id, run.project_id, **columns)
        self._runs.append_event_once(
            run.id, now, "note", f"change request #{ended.number} {ended.state}"
        )
        if ended.autoland_note is not None:
            words = timeline_words(ended.autoland_note)
            self._runs.append_event_once(run.id, now, "note", words)

    def _clear(self, project: Project, change: ChangeRequest) -> bool:
        """Release copy and claim of merged work. Return False if they must stay."""
        repo, run_id = repository_of(project), change.run_id
        if run_id is None:
            return self._release(repo, change)
        with self._locks.holding(run_id):
            run = self._runs.find(run_id)
            if run is None or run.released_at is None:
                return False  # it may still be alive: its finalizer keeps or clears the copy
            if self._parked.open_run(project.id, change.branch) is not None:
                return False  # another run works on the branch, and lets go of it when it ends
            try:
                if self._copies.exists(run_id) and not self._is_cleared(repo, run, change):
                    return False
            except (CannotRead, OSError) as problem:
                log.info("work_kept_after_merge", because=problem)
                return False
            failpoint("during_clearing")
            self._runs.update_fields(run_id, project.id, parked=False)
        let_go(self._mirrors, repo, change.branch, change.head_sha)
        return True

    def _release(self, repo: Repository, change: ChangeRequest) -> bool:
        """Delete the branch of a change that no run made; origin never had it."""
        try:
            return self._mirrors.release(repo, change.branch, expected_sha=change.head_sha)
        except (CannotRead, OSError) as problem:
            log.warning("claim_left_after_merge", branch=change.branch, because=problem)
            return False

    def _is_cleared(self, repo: Repository, run: Run, change: ChangeRequest) -> bool:
        """Remove the copy of the run that opened a change, unless it holds more than that."""
        is_all = self._holds_only(repo, run, change)
        if is_all:
            self._copies.remove(run.id)
        return is_all

    def _holds_only(self, repo: Repository, run: Run, change: ChangeRequest) -> bool:
        """Return True if a run's copy holds nothing that its change does not show."""
        head = (run.delivery or {}).get("head_sha")
        if head == change.head_sha:
            head = self._copies.import_work(repo, run.id, change.branch)
            if head != change.head_sha:
                return False
        # other runs have added to the change since: the claim must not move back to this copy
        return self._copies.inspect(repo, run.id, tip=head or change.head_sha).is_clean

    def _project(self, project_id: str) -> Project:
        project = self._projects.find(project_id)
        if project is None:
            raise NotFound
        return project


def _leaves_nothing(ended: ChangeRequest) -> bool:
    """Return True if the branch of an ended change holds nothing that is wanted."""
    is_over = ended.state == "merged" or ended.issue_after == AfterClose.QUEUE
    return is_over or ended.reverts is not None
