"""Undo of a merge: a change request that takes it back, which a person reviews and merges."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from app.errors import (
    AlreadyUndone,
    ForgeUnavailable,
    MergeConflict,
    NotMerged,
    NotUndone,
    ProjectArchived,
)
from app.failpoints import failpoint
from app.records.projects.revert_ledger import reverts_of
from app.records.tables import ChangeRequest, Project
from app.services.context import Context, repository_of
from app.services.ports import (
    BranchTaken,
    CannotRead,
    MergedChange,
    OriginProblem,
    Repository,
    RevertAnswer,
)
from app.services.system.origin_watch import OriginWatch
from app.services.tracker.changes import ChangeService
from app.services.tracker.conflicts import conflict_members, named_files

log = structlog.get_logger()
PREFIX = "revert/"


@dataclass(frozen=True)
class Undone:
    """The open change request that reverts a merge; `is_new` is False if it was open already."""

    change: ChangeRequest
    is_new: bool = True


class Reverts:
    """Opens change requests that take back merges."""

    def __init__(self, context: Context, changes: ChangeService, origins: OriginWatch) -> None:
        self._stores = context.stores
        self._projects = context.ledgers.projects
        self._tracker = context.ledgers.tracker
        self._mirrors = context.adapters.mirrors
        self._locks = context.locks
        self._changes = changes
        self._origins = origins

    def undone_by(self, project_id: str) -> dict[int, int]:
        """Map each change that is undone, or about to be, to the change request that does it."""
        return _undone_by(reverts_of(self._stores, project_id))

    def undo(self, project_id: str, number: int, now: datetime) -> Undone:
        """Open the change request that takes back a merge, or return the open one.

        Raises a Refusal, and then everything is as before.
        """
        change = self._changes.find(project_id, number)
        project = self._projects.find(project_id)
        if project is None or project.archived_at is not None:
            raise ProjectArchived
        if project.forge_id is not None:
            # the forge numbers its pull requests itself
            raise NotUndone(f"Not undone: revert #{number} at the forge, whose pull request it is.")
        with self._locks.holding(f"merge {project_id}"):
            if change.state != "merged" or change.merged_sha is None:
                raise NotMerged(f"Change request #{number} is {change.state}, not merged.")
            known = self._known(change)
            return Undone(known, is_new=False) if known else self._open(project, change, now)

    def settle_once(self) -> int:
        """Complete what a crash left between a revert's branch and its row. Return how many."""
        settled = 0
        for project in self._projects.all():
            try:
                with self._locks.holding(f"merge {project.id}"):
                    settled += self._settle(project)
            except (CannotRead, OSError) as problem:
                log.info("reverts_not_settled", project_id=project.id, because=problem)
        return settled

    def _known(self, change: ChangeRequest) -> ChangeRequest | None:
        """Return the open revert of a change. Raises AlreadyUndone if it is merged."""
        by = self.undone_by(change.project_id).get(change.number)
        if by is None:
            return None
        revert = self._changes.find(change.project_id, by)
        if revert.state == "merged":
            sentence = f"Change request #{by} has undone change request #{change.number} already."
            raise AlreadyUndone(sentence, change=by)
        return revert

    def _open(self, project: Project, change: ChangeRequest, now: datetime) -> Undone:
        repo, title = repository_of(project), f'Revert "{" ".join(change.title.split())}"'
        words = f"Reverts change #{change.number}, merged as {change.merged_sha}."
        answer = self._prepare(project, change, f"{title}\n\n{words}\n")
        if answer.sha is None:
            raise _refusal_of(change, answer)
        branch = f"{PREFIX}{change.number}"
        self._claim(repo, branch, answer.sha)
        failpoint("undo.after_claim")
        stat = self._mirrors.stat(repo, answer.base_sha, answer.sha)
        opened = self._tracker.open_change(
            project_id=project.id,
            run_id=None,
            reverts=change.number,
            title=title,
            body=words,
            base=change.base,
            branch=branch,
            base_sha=answer.base_sha,
            head_sha=answer.sha,
            commits=stat.commits,
            files_changed=stat.files_changed,
            additions=stat.additions,
            deletions=stat.deletions,
            created_at=now,
        )
        if opened.head_sha != answer.sha:
            # another server was a moment faster
            self._mirrors.move(repo, branch, opened.head_sha, expected_sha=answer.sha)
            return Undone(opened, is_new=False)
        failpoint("undo.after_open")
        return Undone(opened)

    def _prepare(self, project: Project, change: ChangeRequest, message: str) -> RevertAnswer:
        repo = repository_of(project)
        merged = MergedChange(
            change.base, change.merged_sha or "", change.base_sha, change.head_sha
        )
        try:
            self._mirrors.fetch(repo)
            answer = self._mirrors.prepare_revert(repo, merged, message)
        except OriginProblem as problem:
            raise ForgeUnavailable(problem.sentence) from problem
        except (CannotRead, OSError) as problem:
            raise ForgeUnavailable(f"The mirror could not be read: {problem}") from problem
        self._origins.record_fetch(project)
        return answer

    def _claim(self, repo: Repository, branch: str, sha: str) -> None:
        """Make the branch at a commit, in place of one that a crash or a close left behind."""
        try:
            # no run works on a branch that has the number of a change
            self._mirrors.release(repo, branch, expected_sha=None)
            self._mirrors.claim(repo, branch, sha)
        except BranchTaken as taken:
            raise NotUndone(f"A branch is in the way of {branch}. Discard it first.") from taken
        except (CannotRead, OSError) as problem:
            raise ForgeUnavailable(f"The mirror could not be written: {problem}") from problem

    def _settle(self, project: Project) -> int:
        reverts = reverts_of(self._stores, project.id)
        is_open = {one.branch: one.head_sha for one in reverts if one.state == "open"}
        repo = repository_of(project)
        if not self._mirrors.exists(repo):
            return 0
        claims = {one for one in self._mirrors.claims(repo) if one.startswith(PREFIX)}
        settled = 0
        for branch in self._left_over(project.id, claims - is_open.keys()):
            settled += self._mirrors.release(repo, branch, expected_sha=None)
        for branch in is_open.keys() - claims:
            self._mirrors.claim(repo, branch, is_open[branch])
            settled += 1
        return settled

    def _left_over(self, project_id: str, branches: Collection[str]) -> list[str]:
        """Return those of the branches that are named after a change and not after an issue."""
        numbers = {one: one.removeprefix(PREFIX) for one in branches}
        return [
            branch
            for branch, number in numbers.items()
            if number.isdecimal() and self._tracker.change(project_id, int(number)) is not None
        ]


def _undone_by(reverts: Sequence[ChangeRequest]) -> dict[int, int]:
    """Map changes to what reverts them, given all reverts, oldest first."""
    found: dict[int, int] = {}
    taken_back: set[int] = set()
    # newest first: a revert that was itself reverted undoes nothing any more
    for one in reversed(reverts):
        if one.reverts is None or one.state == "closed" or one.number in taken_back:
            continue
        found.setdefault(one.reverts, one.number)
        if one.state == "merged":
            taken_back.add(one.reverts)
    return found


def _refusal_of(
    change: ChangeRequest, answer: RevertAnswer
) -> MergeConflict | AlreadyUndone | NotUndone:
    if answer.conflicts:
        files = named_files(answer.conflicts)
        return MergeConflict(
            f"Later commits changed {files} too, so this cannot be undone automatically."
            " Nothing was changed.",
            **conflict_members(answer.conflicts),
        )
    if answer.is_empty:
        sentence = f"{change.base} has nothing of change request #{change.number} any more."
        return AlreadyUndone(sentence)
    return NotUndone(f"Not undone: {answer.because}")
