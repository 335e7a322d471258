"""Merges and closes of change requests where they are kept: in the mirror, or by a forge."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from app.domain.words import MergeWait
from app.errors import ForgeUnavailable, NotChecked
from app.failpoints import failpoint
from app.records.tables import ChangeRequest, Project
from app.services.context import Context, repository_of
from app.services.ports import (
    CannotRead,
    ForgeSilent,
    MergeAnswer,
    OriginProblem,
    PullRequests,
    Repository,
)
from app.services.system.origin_watch import OriginWatch

log = structlog.get_logger()
# a close must not wait for an origin that hangs
ASK_SECONDS = 10.0


class Merger:
    """Merges and closes changes, and finds those that are merged already."""

    def __init__(self, context: Context, origins: OriginWatch) -> None:
        self._mirrors = context.adapters.mirrors
        self._forges = context.adapters.forges
        self._forge_of = context.adapters.forge_of
        self._tracker = context.ledgers.tracker
        self._origins = origins

    def merge(self, project: Project, change: ChangeRequest, *, only_shown: bool) -> MergeAnswer:
        """Merge where the change is kept: in the mirror, or by its forge. Raises a Refusal."""
        repo, message = repository_of(project), _message_of(change)
        try:
            requests = self._forges.requests_of(project)
            if requests is not None:
                return self._merge_there(requests, repo, change, project.merge_style)
            return self._mirrors.merge(
                repo,
                base=change.base,
                branch=change.branch,
                message=message,
                base_sha=change.base_sha if only_shown else None,
                head_sha=change.head_sha,
            )
        except OriginProblem as problem:
            raise ForgeUnavailable(problem.sentence) from problem
        except ForgeSilent as silence:
            raise ForgeUnavailable(f"The forge cannot merge it now: {silence}.") from silence

    def note_scheduled(self, change: ChangeRequest, waits_for: MergeWait) -> ChangeRequest:
        """Record that a forge merges a change by itself; it stays open until that is done."""
        updated = self._tracker.update_change(
            change.project_id,
            change.number,
            merge_waits=waits_for.value,
            merge_head=change.head_sha,
            merge_note=None,
        )
        return updated or change

    def _merge_there(
        self, requests: PullRequests, repo: Repository, change: ChangeRequest, style: str
    ) -> MergeAnswer:
        """Have a forge merge exactly what was reviewed."""
        # first: after a crash or a lost answer the forge may be about to merge it by itself
        self._write_head(change, change.head_sha)
        failpoint("merge.before_forge")
        merged = requests.merge(
            repo,
            change.number,
            head_sha=change.head_sha,
            message=_message_of(change),
            style=style,
        )
        failpoint("merge.after_forge")
        if merged.sha is None and merged.waits_for is None:
            self._write_head(change, None)
        if merged.sha is not None or merged.has_conflicts or merged.waits_for is not None:
            because = merged.because and f"Not merged: {merged.because}."
            return MergeAnswer(merged.sha, because, waits_for=merged.waits_for)
        raise NotChecked(f"Not merged: {merged.because}.")

    def _write_head(self, change: ChangeRequest, sha: str | None) -> None:
        self._tracker.update_change(
            change.project_id, change.number, merge_head=sha, merge_note=None
        )

    def call_off(self, project: Project, change: ChangeRequest, because: str) -> str | None:
        """Have a forge no longer merge a change by itself; return the merge if it has made it.

        Does nothing about a change that it would not. Raises a Refusal.
        """
        if not change.may_merge_itself:
            return None
        repo = repository_of(project)
        try:
            self._forge_of(project).cancel_merge(repo, change.number, because)
            requests = self._forges.requests_of(project)
            states = {} if requests is None else requests.states(repo, [change.number])
        except ForgeSilent as silence:
            words = f"The forge cannot be asked now to cancel its merge: {silence}."
            raise ForgeUnavailable(words) from silence
        state = states.get(change.number)
        if state is None or state.state != "merged":
            return None
        return state.merged_sha or change.head_sha

    def close_there(self, project: Project, change: ChangeRequest, because: str | None) -> None:
        """Close a change at the forge that keeps it, if one does. Raises a Refusal."""
        try:
            requests = self._forges.requests_of(project)
            if requests is not None:
                requests.close(repository_of(project), change.number, because or "")
        except ForgeSilent as silence:
            raise ForgeUnavailable(f"The forge cannot close it now: {silence}.") from silence

    def merged_at_origin(
        self, project: Project, changes: Sequence[ChangeRequest]
    ) -> list[ChangeRequest]:
        """Return those that origin's base holds already, none if origin or the mirror is silent."""
        repo = repository_of(project)
        try:
            remote = self._mirrors.inspect_origin(repo.origin, timeout_seconds=ASK_SECONDS)
            tips = {one.name: one.sha for one in remote.branches}
            bases = {change.base for change in changes}
            if any(tips.get(base) != self._mirrors.origin_tip(repo, base) for base in bases):
                self._mirrors.fetch(repo)
                self._origins.record_fetch(project)
            return [one for one in changes if self.is_in_base(repo, one)]
        except (OriginProblem, CannotRead, OSError) as problem:
            log.info("merges_not_read", because=problem)
            return []

    def is_in_base(self, repo: Repository, change: ChangeRequest) -> bool:
        """Return True if the base, as it was last fetched, holds a change already."""
        base = self._mirrors.origin_tip(repo, change.base)
        return base is not None and self._mirrors.stat(repo, base, change.head_sha).commits == 0


def _message_of(change: ChangeRequest) -> str:
    message = f"Merge change #{change.number}: {change.title}"
    return message if change.closes is None else f"{message}\n\nCloses #{change.closes}"
