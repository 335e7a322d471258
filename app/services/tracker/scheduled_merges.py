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
            merged_sha = self._changes.merger.call_off(project, change, because)
        if merged_sha is not None:
            self._changes.record_end(change, "merged", now, merged_sha=merged_sha)
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
        ForgeSilent if the forge is to be asked later.
        """
        count = 0
        for change in changes:
            state = states.get(change.number)
            if not change.may_merge_itself or state is None:
                continue
            if state.state != "open":
                self._note_unseen(change, state, now)
                continue
            try:
                count += self._settle(project, requests, change, state)
            except ForgeSilent as silence:
                # the trouble of one change holds up no other
                if silence.retry_after is not None:
                    raise
                log.warning("merge_not_followed", change=change.number, because=silence)
        return count

    def _settle(
        self, project: Project, requests: PullRequests, change: ChangeRequest, state: RequestState
    ) -> bool:
        """Follow a change unless somebody decides about it at this moment, or has done so since."""
        with self._locks.holding(f"merge {project.id}", wait=False) as is_held:
            known = self._tracker.change(project.id, change.number) if is_held else None
            is_same = known is not None and (known.merge_waits, known.merge_head) == (
                change.merge_waits,
                change.merge_head,
            )
            return is_same and self._follow(project, requests, change, state)

    def _follow(
        self, project: Project, requests: PullRequests, change: ChangeRequest, state: RequestState
    ) -> bool:
        repo = repository_of(project)
        if state.head_sha != change.merge_head:
            self._forge_of(project).cancel_merge(repo, change.number, MOVED)
            return True
        found = requests.scheduled(repo, change.number)
        if found.waits_for is None and change.merge_waits is None:
            # it was asked, and never got that, or refused it
            self._tracker.update_change(project.id, change.number, merge_head=None)
            return True
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
