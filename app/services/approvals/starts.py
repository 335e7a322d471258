"""Approvals of starts: a run leaves its wait, or is stopped, in one transaction of its store."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.domain.lifecycle import Signal
from app.domain.projects.approvals import Answer, ApprovalState, expiry_of
from app.domain.words import Cause, Status
from app.errors import AlreadyAnswered, AlreadyEnded
from app.failpoints import failpoint
from app.records.database.database import Transaction
from app.records.people.approval_ledger import add_start, end_of_run
from app.records.people.audit_ledger import record
from app.records.runs.approved_starts import let_start
from app.records.stores.outbox import APPROVAL_ASKED, APPROVAL_ENDED
from app.records.tables import Approval, Project, Run
from app.services.context import Context
from app.services.system.outbox import OutboxProcessor

NOT_ANSWERED = "its approval expired"
_ENDS = {
    ApprovalState.REJECTED: (Signal.APPROVAL_REFUSED, Cause.APPROVAL_REFUSED),
    ApprovalState.EXPIRED: (Signal.APPROVAL_EXPIRED, Cause.APPROVAL_EXPIRED),
}


def asking(run: Run, project: Project) -> tuple[str, dict[str, str]]:
    """Return the effect of accepting a run that waits for approval, with its data."""
    since = max(run.created_at, run.due_at or run.created_at)
    expires_at = expiry_of(since, project.approval_days)
    return APPROVAL_ASKED, {"expires_at": expires_at.isoformat()}


class StartApprovals:
    """Ends the wait of runs for an approval; the run's row decides who was first."""

    def __init__(self, context: Context, outbox: OutboxProcessor) -> None:
        self._runs = context.ledgers.runs
        self._stores = context.stores
        self._outbox = outbox
        outbox.register(APPROVAL_ASKED, self._ask)
        outbox.register(APPROVAL_ENDED, self._end)

    def approve(self, row: Approval, answer: Answer, name: str) -> None:
        """Let the run join the queue. Raises AlreadyAnswered, AlreadyEnded."""
        run = self._find(row)
        state = ApprovalState.APPROVED
        words = f"approved by {name}" + (f": {answer.comment}" if answer.comment else "")
        with self._stores.owner_of(run.id).transaction() as tx:
            approved = let_start(tx, run)
            if approved is None:
                raise AlreadyAnswered
            self._runs.append_event(tx, run.id, answer.at, "note", words)
            record(tx, before={"state": row.state}, after={"state": state, "run": run.id})
            data = {"state": state, "answers": [answer.as_data()], "because": words}
            self._outbox.follow(tx, run, APPROVAL_ENDED, data, answer.at)
        failpoint("after_approval")
        self._outbox.catch_up()

    def reject(self, row: Approval, answer: Answer, name: str) -> None:
        """Stop the run. Raises AlreadyAnswered, AlreadyEnded."""
        because = f"its start was refused by {name}: {answer.comment}"
        data = {"answers": [answer.as_data()], "because": because}
        self._stop(row, ApprovalState.REJECTED, data, answer.at)

    def expire(self, row: Approval, now: datetime) -> bool:
        """Stop the run because nobody answered in time; False if it waits no more."""
        try:
            self._stop(row, ApprovalState.EXPIRED, {"because": NOT_ANSWERED}, now)
        except (AlreadyAnswered, AlreadyEnded):
            return False
        return True

    def _stop(
        self, row: Approval, state: ApprovalState, data: Mapping[str, Any], now: datetime
    ) -> None:
        run = self._find(row)
        signal, cause = _ENDS[state]
        because = data["because"]
        with self._stores.owner_of(run.id).transaction() as tx:
            waiting = run
            if run.status == Status.DELAYED:
                due = self._runs.move(
                    tx, run, Signal.DUE, now=now, kind="note", sentence=because, due_at=now
                )
                waiting = due or run
            moved = self._runs.move(
                tx,
                waiting,
                signal,
                now=now,
                kind="reaped",
                sentence=because,
                cause=cause,
                because=because,
                hold=None,
                released_at=now,
                awaits_approval=False,
            )
            if moved is None:
                raise AlreadyAnswered
            record(tx, before={"state": row.state}, after={"state": state, "run": run.id})
            self._outbox.follow(tx, run, APPROVAL_ENDED, {**data, "state": state}, now)
        failpoint("after_approval")
        self._outbox.catch_up()

    def _find(self, row: Approval) -> Run:
        """Return the run that waits. Raises AlreadyAnswered, AlreadyEnded."""
        run = self._runs.find(row.run_id or "")
        if run is not None and run.awaits_approval and run.ended_at is None:
            return run
        if run is not None and run.ended_at is not None and row.state == ApprovalState.PENDING:
            raise AlreadyEnded
        raise AlreadyAnswered

    def _ask(self, tx: Transaction, run: Run, data: Mapping[str, Any], now: datetime) -> None:
        add_start(tx, self._stores, run, data)

    def _end(self, tx: Transaction, run: Run, data: Mapping[str, Any], now: datetime) -> None:
        end_of_run(tx, run.id, data, now)
