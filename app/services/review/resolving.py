"""Runs that resolve the conflicts of a change request with its base."""
# stands alone: the module of comments has another subject

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from app.domain.review.base_merges import TO_MERGE
from app.domain.words import Depth, Trigger
from app.errors import ChangeClosed, NoConflict, NoRun
from app.records.runs.parked_ledger import ParkedLedger
from app.records.tables import ChangeRequest, Run
from app.services.context import Context
from app.services.runs.accept import AcceptService
from app.services.runs.requests import Accepted, Requester, RetryOf, RunRequest
from app.services.tracker.changes import ChangeService


class Resolving:
    """Starts runs whose working copy is in the middle of the merge that stopped at conflicts."""

    def __init__(self, context: Context, changes: ChangeService, accept: AcceptService) -> None:
        self._parked = ParkedLedger(context.ledgers.runs)
        self._locks = context.locks
        self._changes = changes
        self._accept = accept

    def resolve(
        self, project_id: str, number: int, requester: Requester, now: datetime
    ) -> Accepted:
        """Start such a run on a change, or return the one its key created. Raises a Refusal.

        A change whose conflicts are unknown is not refused: the launch finds out. What an earlier
        attempt left is set aside when the run is launched, and stays kept.
        """
        order = RunRequest(
            project_id=project_id,
            depth=Depth.STANDARD,
            framework="auto",
            pr_number=number,
            asked_as=f"resolve {number}",
            merging=TO_MERGE,
        )
        requester = replace(requester, trigger=Trigger.REVIEW)
        accepted = self._accept.replay(order, requester, now)
        if accepted is not None:
            return accepted
        change = self._changes.find(project_id, number)
        if change.state != "open":
            raise ChangeClosed.of(number, change.state)
        if change.run_id is None:
            raise NoRun
        if change.conflicts == []:
            raise NoConflict(f"Change request #{number} has no conflicts with {change.base}.")
        task = f"Resolve the conflicts of change request #{number} with {change.base}."
        # concurrent deliveries and discards of kept work are done by now, or wait for this lock
        with self._locks.holding(f"branch {project_id} {change.branch}"):
            failed = self._failed_attempt(change)
            again = RetryOf(failed.id) if failed is not None else None
            return self._accept.accept(replace(order, task=task, again=again), requester, now)

    def _failed_attempt(self, change: ChangeRequest) -> Run | None:
        """Return the newest attempt whose work is kept; None if anything else is kept there.

        Other work may be meant to be continued, and one at its usage limit continues by itself.
        """
        kept = self._parked.of_branch(change.project_id, change.branch)
        undelivered = [run for run in kept if run.delivery is None]
        is_all_attempts = all(
            run.merging is not None and run.pr_number == change.number and not run.may_resume
            for run in undelivered
        )
        return undelivered[-1] if undelivered and is_all_attempts else None
