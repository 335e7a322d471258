"""Change requests of the built-in tracker: telling, merging and closing them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from app.errors import AlreadyEnded, ForgeUnavailable, MergeConflict, NotFound
from app.records.tables import ChangeRequest, Project
from app.services.floor import Ledgers, Outside
from app.services.ports import CannotRead, Diff, OriginProblem, Repository
from app.services.prechecks import repository_of
from app.services.run_locks import Locks

log = logging.getLogger(__name__)


class ChangeDesk:
    """Where change requests are merged or closed."""

    def __init__(
        self,
        ledgers: Ledgers,
        outside: Outside,
        locks: Locks,
        on_merged: Callable[[], None],
    ) -> None:
        self._tracker = ledgers.tracker
        self._projects = ledgers.projects
        self._runs = ledgers.runs
        self._mirrors = outside.mirrors
        self._copies = outside.copies
        self._locks = locks
        self._on_merged = on_merged

    def all(self, project_id: str) -> list[ChangeRequest]:
        """A project's change requests, newest first."""
        self._project(project_id)
        return self._tracker.changes(project_id)

    def find(self, project_id: str, number: int) -> ChangeRequest:
        """One change request. Raises NotFound."""
        change = self._tracker.change(project_id, number)
        if change is None:
            raise NotFound
        return change

    def diff(self, project_id: str, number: int) -> Diff:
        """What a change request changes."""
        change = self.find(project_id, number)
        repo = repository_of(self._project(project_id))
        return self._mirrors.diff(repo, change.base_sha, change.head_sha)

    def merge(self, project_id: str, number: int, now: datetime) -> ChangeRequest:
        """Merge in the mirror, push to origin, close what it closes. Raises a Refusal."""
        project = self._project(project_id)
        repo = repository_of(project)
        with self._locks.holding(f"merge {project_id}"):
            change = self.find(project_id, number)
            if change.state != "open":
                raise AlreadyEnded(f"This change request is already {change.state}.")
            message = f"Merge change #{number}: {change.title}"
            if change.closes is not None:
                message += f"\n\nCloses #{change.closes}"
            try:
                answer = self._mirrors.merge(
                    repo,
                    base=change.base,
                    branch=change.branch,
                    message=message,
                    head_sha=change.head_sha,
                )
            except OriginProblem as problem:
                raise ForgeUnavailable(problem.sentence) from problem
            if answer.sha is None:
                raise MergeConflict(answer.because or None, conflicts=list(answer.conflicts))
            merged = self._end(change, "merged", now, answer.sha)
        self._clear(project, merged)
        self._on_merged()
        return merged

    def close(self, project_id: str, number: int, now: datetime) -> ChangeRequest:
        """Close without merging; the branch stays, parked."""
        self._project(project_id)
        with self._locks.holding(f"merge {project_id}"):
            change = self.find(project_id, number)
            if change.state != "open":
                raise AlreadyEnded(f"This change request is already {change.state}.")
            closed = self._end(change, "closed", now, None)
        self._runs.note(closed.run_id, project_id, parked=True)
        return closed

    def _end(
        self, change: ChangeRequest, state: str, now: datetime, sha: str | None
    ) -> ChangeRequest:
        ended = self._tracker.end_change(
            change.project_id, change.number, state=state, now=now, merged_sha=sha
        )
        if ended is None:
            raise AlreadyEnded("This change request was ended a moment ago.")
        run = self._runs.find(ended.run_id)
        if run is not None and run.delivery is not None:
            self._runs.note(run.id, run.project_id, delivery=run.delivery | {"state": state})
            self._runs.tell_once(run.id, now, "note", f"change request #{ended.number} {state}")
        return ended

    def _clear(self, project: Project, change: ChangeRequest) -> None:
        # merged work needs its claim no longer; a copy with other work in it stays
        repo, run_id = repository_of(project), change.run_id
        with self._locks.holding(run_id):
            run = self._runs.find(run_id)
            if run is None or run.released_at is None:
                return  # something of it may still live: its settlement keeps or clears
            try:
                if self._copies.exists(run_id):
                    tip = self._copies.take(repo, run_id, change.branch)
                    state = self._copies.look(repo, run_id, tip=tip)
                    if tip != change.head_sha or not state.is_clean:
                        return
                    self._copies.remove(run_id)
            except CannotRead as problem:
                log.info("kept after the merge: %s", problem)
                return
            self._runs.note(run_id, project.id, parked=False)
        self._release(repo, change)

    def _release(self, repo: Repository, change: ChangeRequest) -> None:
        try:
            self._mirrors.delete_at_origin(repo, change.branch, expected_sha=change.head_sha)
        except OriginProblem as problem:
            log.info("the branch stays at origin: %s", problem)
        self._mirrors.release(repo, change.branch, expected_sha=change.head_sha)

    def _project(self, project_id: str) -> Project:
        project = self._projects.find(project_id)
        if project is None:
            raise NotFound
        return project
