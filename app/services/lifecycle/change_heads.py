"""The head branch of a change request on which a run works: where it starts, and its way back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from app.domain.review.base_merges import BaseMerge, read_merge
from app.domain.tracker.merge_waits import WORKED_ON
from app.failpoints import failpoint
from app.records.runs.run_ledger import RunLedger
from app.records.tables import Project, Run
from app.services.context import Adapters, repository_of
from app.services.lifecycle.launch_spec import NotLaunched
from app.services.ports import BranchTaken, Change, Mirrors, Repository, WorkingCopies

# files in conflict that a run's row and its prompt name
MOST_FILES = 100


class ChangeHeads:
    """Finds change requests, and points the claims of their branches where runs need them.

    A claim never leaves commits that neither origin nor another branch has.
    """

    def __init__(self, adapters: Adapters) -> None:
        self._mirrors = adapters.mirrors
        self._forge_of = adapters.forge_of

    def find(self, project: Project, run: Run) -> Change | None:
        """Return the change request that a run works on, None if none. Raises ForgeSilent."""
        if run.pr_number is None:
            return None
        return self._forge_of(project).change(repository_of(project), run.pr_number)

    def cancel_merge(self, project: Project, run: Run) -> None:
        """Cancel the scheduled merge of the change that a run adds to. Raises ForgeSilent.

        A person has yet to see what is added.
        """
        if run.pr_number is not None:
            repo = repository_of(project)
            self._forge_of(project).cancel_merge(repo, run.pr_number, WORKED_ON)

    def put_back(self, repo: Repository, branch: str, sha: str) -> None:
        """Point a claim at a commit that is known to be kept elsewhere. Raises CannotRead."""
        here = self._mirrors.tip(repo, branch)
        if here is not None and here != sha:
            self._mirrors.move(repo, branch, sha, expected_sha=here)


def closed_words(number: int | None, change: Change | None) -> str | None:
    """Return why nothing can be added to a change request, None if it is open."""
    if change is None:
        return f"change request #{number} is gone"
    if change.state == "open":
        return None
    return f"change request #{change.number} was {change.state} in the meantime"


def why_unresolved(mirrors: Mirrors, repo: Repository, run: Run, tip: str) -> str:
    """Return why `tip` does not resolve the conflicts that a run was to resolve, "" if it does.

    Raises CannotRead.
    """
    if run.merging is None:
        return ""
    merge = read_merge(run.merging)
    if merge is None:
        return "its base was never merged"
    found = mirrors.why_unresolved(repo, tip, merge.ours, merge.theirs)
    return f"the conflicts are not resolved: {found}" if found else ""


def is_as_prepared(copies: WorkingCopies, repo: Repository, run: Run) -> bool:
    """Return True if a copy holds only the merge that its launch made. Raises CannotRead."""
    merge = read_merge(run.merging)
    return merge is not None and copies.inspect(repo, run.id, tip=merge.prepared).is_clean


class HeadClaims(ChangeHeads):
    """Gives runs the branch of their change request when they are launched."""

    def __init__(self, runs: RunLedger, adapters: Adapters, clock: Callable[[], datetime]) -> None:
        super().__init__(adapters)
        self._copies = adapters.copies
        self._runs = runs
        self._clock = clock

    def open_change(self, project: Project, run: Run) -> Change | None:
        """Return the change request a run works on, None if none. Raises NotLaunched if closed."""
        change = self.find(project, run)
        closed = closed_words(run.pr_number, change) if run.pr_number is not None else None
        if closed is not None:
            raise NotLaunched(closed)
        return change

    def begin(self, repo: Repository, run: Run, change: Change) -> str:
        """Claim the head of a change for a run, and return its commit. Raises NotLaunched."""
        base = self._claim(repo, change)
        self._runs.update_fields(run.id, run.project_id, base_sha=base)
        sentence = f"branch {run.work_branch} of change request #{change.number}@{base[:7]}"
        data = {"branch": run.work_branch, "base_sha": base}
        self._runs.append_event_once(run.id, self._clock(), "claimed", sentence, **data)
        return base

    def prepare_copy(self, repo: Repository, run: Run, sha: str, *, continues: bool) -> None:
        """Make a run's copy at `sha`, in the middle of the merge that the run is to conclude.

        Raises NotLaunched if there is nothing to resolve any more, LaunchFailed, CannotRead.
        """
        if run.merging is None:
            self._copies.prepare(repo, run.id, branch=run.work_branch, sha=sha)
            return
        base = self._mirrors.origin_tip(repo, run.branch_name)
        if base is None:
            raise NotLaunched(f"origin no longer has a branch {run.branch_name}")
        merge = self._mirrors.prepare_merge(repo, sha, base)
        if not merge.files and not continues:
            raise NotLaunched(f"{run.work_branch} no longer conflicts with {run.branch_name}")
        if not merge.files:  # what it continues has resolved them
            self._copies.prepare(repo, run.id, branch=run.work_branch, sha=sha)
            return
        found = BaseMerge(run.branch_name, sha, base, merge.sha, merge.files[:MOST_FILES])
        # saved first: after a crash past the copy, it says what no agent has done there
        self._runs.update_fields(run.id, run.project_id, merging=found.as_data())
        run.merging = found.as_data()
        self._copies.prepare(repo, run.id, branch=run.work_branch, sha=sha, merge=merge)
        sentence = f"{found.base}@{base[:7]} merged into the working copy, up to its conflicts"
        data = {"files": [*found.files]}
        self._runs.append_event_once(run.id, self._clock(), "note", sentence, **data)
        failpoint("after_merge_begun")

    def _claim(self, repo: Repository, change: Change) -> str:
        """Point the claim at origin's head, as last fetched, and return that commit.

        Raises NotLaunched if the claim has commits that origin lacks, or moves at the same time.
        """
        head = self._mirrors.origin_tip(repo, change.branch) or change.head_sha
        here = self._mirrors.tip(repo, change.branch)
        if here == head:
            return head
        if here is None:
            try:
                self._mirrors.claim(repo, change.branch, head)
            except BranchTaken as taken:
                raise NotLaunched(f"a branch stands in the way of {change.branch}") from taken
            return head
        is_ahead = self._mirrors.stat(repo, head, here).commits > 0
        if is_ahead or not self._mirrors.move(repo, change.branch, head, expected_sha=here):
            raise NotLaunched(
                f"{change.branch} holds commits here that change request #{change.number} has not"
                " at origin; deliver or discard them first"
            )
        return head
