"""Runs that resolve the conflicts of a change request with its base."""
# stands alone: the module of comments has another subject

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from app.domain.review.base_merges import TO_MERGE
from app.domain.words import Depth
from app.errors import ChangeClosed, NoConflict
from app.services.runs.accept import AcceptService
from app.services.runs.requests import Accepted, Requester, RunRequest
from app.services.tracker.changes import ChangeService


class Resolving:
    """Starts runs whose working copy is in the middle of the merge that stopped at conflicts."""

    def __init__(self, changes: ChangeService, accept: AcceptService) -> None:
        self._changes = changes
        self._accept = accept

    def resolve(
        self, project_id: str, number: int, requester: Requester, now: datetime
    ) -> Accepted:
        """Start such a run on a change, or return the one its key created. Raises a Refusal.

        A change whose conflicts are unknown is not refused: the launch finds out.
        """
        order = RunRequest(
            project_id=project_id,
            depth=Depth.STANDARD,
            framework="auto",
            pr_number=number,
            asked_as=f"resolve {number}",
            merging=TO_MERGE,
        )
        accepted = self._accept.replay(order, requester, now)
        if accepted is not None:
            return accepted
        change = self._changes.find(project_id, number)
        if change.state != "open":
            raise ChangeClosed.of(number, change.state)
        if change.conflicts == []:
            raise NoConflict(f"Change request #{number} has no conflicts with {change.base}.")
        task = f"Resolve the conflicts of change request #{number} with {change.base}."
        return self._accept.accept(replace(order, task=task), requester, now)
