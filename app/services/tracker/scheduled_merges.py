"""Merges that forges were asked to make by themselves: followed, and called off."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

import structlog

from app.domain.tracker.merge_waits import CANCELED, MOVED
from app.errors import AlreadyEnded, NotFound
from app.records.tables import ChangeRequest, Project
from app.services.context import Context, repository_of
from app.services.ports import ForgeSilent, PullRequests, RequestState
from app.services.tracker.changes import ChangeService

log = structlog.get_logger()


class ScheduledMerges:
    """Follows the merges that forges were asked to make, and takes them back."""

    def __init__(self, context: Context, changes: ChangeService) -> None:
        self._projects = context.ledgers.projects
        self._tracker = context.ledgers.tracker
        self._runs = context.ledgers.runs
        self._forge_of = context.adapters.forge_of
        self._locks = context.locks
        self._changes = changes

    def cancel(self, project_id: str, number: int, now: datetime) -> ChangeRequest:
        """Have a forge no longer merge a change by itself. Raises a Refusal."""
        change = self._changes.find(project_id, number)
        if change.state != "open":
            raise AlreadyEnded(f"This change request is already {change.state}.")
        self.call_off(change, CANCELED, now)
        return self._changes.find(project_id, number)

    def call_off(self, change: ChangeRequest, because: str, now: datetime) -> None:
        """Have a forge no longer merge a change by itself, if it was to.

        If it has done so already, record that and raise AlreadyEnded. Raises a Refusal.
        """
        project = self._projects.find(change.project_id)
        if project is None:
            raise NotFound
        with self._locks.holding(f"merge {project.id}"):
            is_merged = self._changes.merger.call_off(project, change, because)
        if is_merged:
            self._changes.record_end(change, "merged", now, merged_sha=change.head_sha)
            raise AlreadyEnded("The forge has merged this change a moment ago.")

    def follow(
        self,
        project: Project,
        requests: PullRequests,
        changes: Collection[ChangeRequest],
        states: Mapping[int, RequestState],
        now: datetime,
    ) -> int:
        """Note what became of the scheduled merges of open changes; return how many changed.

        One whose head has moved is called off: nobody has seen what would be merged. Raises
        ForgeSilent if that may succeed later.
        """
        count = 0
        for change in changes:
            state = states.get(change.number)
            if change.merge_waits is None or state is None:
                continue
            if state.state != "open":
                self._note_unseen(change, state, now)
                continue
            try:
                count += self._follow(project, requests, change, state)
            except ForgeSilent as silence:
                if not silence.needs_attention:
                    raise
                log.warning("merge_not_followed", change=change.number, because=silence)
        return count

    def _follow(
        self, project: Project, requests: PullRequests, change: ChangeRequest, state: RequestState
    ) -> bool:
        repo = repository_of(project)
        if state.head_sha != change.merge_head:
            self._forge_of(project).cancel_merge(repo, change.number, MOVED)
            return True
        found = requests.scheduled(repo, change.number)
        if found.waits_for == change.merge_waits:
            return False
        note = None if found.waits_for else f"{found.because[:1].upper()}{found.because[1:]}."
        self._tracker.update_change(
            project.id, change.number, merge_waits=found.waits_for, merge_note=note
        )
        return True

    def _note_unseen(self, change: ChangeRequest, state: RequestState, now: datetime) -> None:
        """Tell the run of a change if its forge merged it with commits that nobody decided about.

        It merges what is pushed at the last moment, before anybody here can call that off.
        """
        if state.state != "merged" or state.head_sha == change.merge_head:
            return
        log.warning("merged_unseen", change=change.number, head=state.head_sha)
        if change.run_id is not None:
            words = f"its forge merged {state.head_sha[:7]}, which nobody had decided about here"
            self._runs.append_event_once(change.run_id, now, "note", words)
