"""Conflicts of open change requests: looked for when a change or its base gets new commits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import structlog

from app.errors import MergeConflict
from app.records.feed import ChangeDelivered, FeedBroke, Numbered
from app.records.projects.change_ends import undecided
from app.records.review.conflict_ledger import note_conflicts
from app.records.tables import ChangeRequest, Project
from app.services.concurrency import BoundedQueue, SingleFlight
from app.services.context import Context, repository_of
from app.services.ports import CannotRead, MergeAnswer, Repository

log = structlog.get_logger()
# files in conflict that are kept of one change
MOST_FILES = 100
# how many of them a sentence names
FILES_NAMED = 5
# changes of the feed after which an open change may have other commits
NEW_COMMITS = (ChangeDelivered, FeedBroke)


class Conflicts:
    """Keeps the conflicts of open changes in their rows, so that nobody waits for git.

    Projects are looked at one after the other, and each change only for commits that it was not
    seen with.
    """

    def __init__(self, context: Context) -> None:
        self._stores = context.stores
        self._projects = context.ledgers.projects
        self._mirrors = context.adapters.mirrors
        self._queue = BoundedQueue(context.workers, 1)
        self._rounds = SingleFlight(self.look_once)
        # projects that may have open changes: a fetch of another one needs no look
        self.projects: set[str] = set()
        self._listeners: tuple[Callable[[str], object], ...] = ()

    def on_change(self, one: Numbered) -> None:
        """Look after a delivery."""
        match one.change:
            case ChangeDelivered(project_id):
                self.projects.add(project_id)
                self.request(project_id)
            case _:
                # deliveries of other servers may have been missed
                self._queue.submit(self.request_all)

    def on_looked(self, listener: Callable[[str], object]) -> None:
        """Call the listener with each project that has open changes, after they were looked at."""
        self._listeners = (*self._listeners, listener)

    def on_fetched(self, project: Project) -> None:
        """Look at a project whose base may have moved."""
        self.request(project.id)

    def request(self, project_id: str) -> None:
        """Look at the open changes of a project soon, on a worker thread."""
        self._rounds.request(self._queue, project_id)

    def request_all(self) -> None:
        """Look at all projects: a server may have ended before it had looked."""
        for project in self._projects.all():
            if project.archived_at is None and project.state == "ready":
                self.request(project.id)

    def look_once(self, project_id: str) -> int:
        """Look for the conflicts of a project's open changes; return how many were looked at."""
        changes = undecided(self._stores, project_id)
        (self.projects.add if changes else self.projects.discard)(project_id)
        project = self._projects.find(project_id) if changes else None
        if project is None:
            return 0
        looked_at = self._look(project, changes)
        for listener in self._listeners:
            listener(project_id)
        return looked_at

    def _look(self, project: Project, changes: Sequence[ChangeRequest]) -> int:
        repo, looked_at = repository_of(project), 0
        tips = {base: self._tip(repo, base) for base in {one.base for one in changes}}
        for change in changes:
            tip = tips[change.base]
            if tip is not None and (change.conflicts_base, change.conflicts_head) == (
                tip,
                change.head_sha,
            ):
                continue
            looked_at += 1
            files = self._files(repo, tip, change)
            # what could not be read is looked at again: it is kept without the commit of its base
            note_conflicts(self._stores, change, None if files is None else tip, files)
        return looked_at

    def _tip(self, repo: Repository, base: str) -> str | None:
        try:
            return self._mirrors.origin_tip(repo, base)
        except (CannotRead, OSError) as problem:
            log.info("base_not_read", project_id=repo.project_id, because=problem)
            return None

    def _files(
        self, repo: Repository, tip: str | None, change: ChangeRequest
    ) -> Sequence[str] | None:
        if tip is None:
            return None
        try:
            return self._mirrors.conflicts(repo, tip, change.head_sha)[:MOST_FILES]
        except (CannotRead, OSError) as problem:
            log.info("conflicts_not_read", change=change.number, because=problem)
            return None


def conflict_of(answer: MergeAnswer) -> MergeConflict:
    """Return the refusal of a merge, naming the first of the files that both sides changed."""
    members = conflict_members(answer.conflicts)
    if not answer.conflicts:
        return MergeConflict(answer.because or None, **members)
    named = named_files(answer.conflicts)
    return MergeConflict(f"Merge conflict in {named}. Nothing was changed.", **members)


def conflict_members(conflicts: Sequence[str]) -> dict[str, Any]:
    """Return the members of a refusal that list the files in conflict."""
    files = list(conflicts[:MOST_FILES])
    # `conflicts` is the former name of `files`, kept for scripts
    return {"files": files, "files_total": len(conflicts), "conflicts": files}


def named_files(conflicts: Sequence[str]) -> str:
    """Return the first of the files in conflict, for a sentence: `a.py, b.py and 3 more`."""
    rest = len(conflicts) - len(conflicts[:FILES_NAMED])
    return ", ".join(conflicts[:FILES_NAMED]) + (f" and {rest} more" if rest else "")
