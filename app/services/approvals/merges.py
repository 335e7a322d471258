"""Approvals of merges: how many people approved a change's present commit, and who still may."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from app.domain.projects.approvals import (
    Answer,
    ApprovalKind,
    ApprovalState,
    expiry_of,
    needed_words,
)
from app.domain.words import Trigger
from app.errors import AlreadyAnswered, AlreadyEnded, ApprovalNeeded, OwnApproval
from app.records.database.database import Transaction
from app.records.feed import ChangeDelivered, FeedBroke, Numbered, ProjectChanged
from app.records.people import approval_ledger
from app.records.people.approval_ledger import (
    ENDED_ALREADY,
    NOT_NEEDED,
    OTHER_COMMITS,
    ApprovalLedger,
    Asked,
    asked_in,
)
from app.records.people.audit_ledger import record
from app.records.tables import Approval, ChangeRequest, Project
from app.services.concurrency import SingleFlight
from app.services.context import Context

ALONE = (
    "You started the run of this change, and there is no other person here who could approve it. "
    "Merge it after setting the project's approvals of a change to 0."
)


class MergeApprovals:
    """Asks for the approvals that a project wants of each change, and counts them.

    An approval holds for one commit of the change: with other commits it is asked for again.
    """

    def __init__(self, context: Context, ledger: ApprovalLedger) -> None:
        self._stores = context.stores
        self._runs = context.ledgers.runs
        self._ledger = ledger
        self._clock = context.clock
        self._workers = context.workers
        self._rounds = SingleFlight(self._settle_soon)

    def on_change(self, one: Numbered) -> None:
        """Ask for approvals of changes that were opened or got other commits."""
        match one.change:
            case ChangeDelivered(project_id):
                self.request(project_id)
            case FeedBroke():
                self.request()
            case _:
                pass

    def request(self, project_id: str = "") -> None:
        """Settle the approvals of a project, or of all, soon, on a worker thread."""
        self._rounds.request(self._workers, project_id)

    def lacking(self, project: Project, change: ChangeRequest) -> str | None:
        """Return why a change may not be merged yet, None if it may."""
        if not project.approve_merge:
            return None
        return _why_not(project, change, self._ledger.of_change(change))

    def require(self, project: Project, change: ChangeRequest, now: datetime) -> None:
        """Raise ApprovalNeeded unless enough people approved the change; ask if nobody has."""
        because = self.lacking(project, change)
        if because is None:
            return
        with self._stores.control.transaction() as tx:
            tx.begin_now()
            asked = asked_in(tx, change)
            pending = asked.pending
            if pending is None and asked.rejected is None:
                pending = self._ask(tx, project, change, now)
            approval = pending or asked.rejected
            approval_id = approval.id if approval else None
        raise ApprovalNeeded(
            because,
            needed=project.approve_merge,
            approvals=len(asked.approvers),
            approval=approval_id,
        )

    def approve(self, row: Approval, answer: Answer, name: str) -> None:
        """Add a person's approval. Raises AlreadyAnswered, AlreadyEnded, OwnApproval."""
        if row.asked_by == answer.person:
            raise OwnApproval(ALONE if self._ledger.is_only_person(answer.person) else None)
        with self._stores.control.transaction() as tx:
            latest = self._pending(tx, row)
            project = tx.get_one(Project, row.project_id)
            change = tx.get_one(ChangeRequest, (row.project_id, row.change))
            if change.head_sha != row.head_sha:
                raise AlreadyEnded("The change got other commits: approve it as it is now.")
            if answer.person in asked_in(tx, change).approvers:
                raise AlreadyAnswered
            latest.answers = [*latest.answers, answer.as_data()]
            tx.add(latest)
            tx.flush()
            is_enough = len(asked_in(tx, change).approvers) >= project.approve_merge
            state = ApprovalState.APPROVED if is_enough else ApprovalState.PENDING
            record(tx, before={"approvals": len(row.answers)}, after=_told(latest, state))
            if is_enough:
                approval_ledger.end(tx, row.id, state, answer.at)
            tx.publish(ProjectChanged(row.project_id))
        self._append_event(row, f"approved by {name}", answer)

    def reject(self, row: Approval, answer: Answer, name: str) -> None:
        """Refuse the merge of these commits. Raises AlreadyAnswered."""
        because = f"{name} refused it: {answer.comment}"
        with self._stores.control.transaction() as tx:
            latest = self._pending(tx, row)
            record(tx, before={"state": row.state}, after=_told(row, ApprovalState.REJECTED))
            answers = [*latest.answers, answer.as_data()]
            state = ApprovalState.REJECTED
            approval_ledger.end(tx, row.id, state, answer.at, answers=answers, because=because)
        self._append_event(row, f"refused by {name}", answer)

    def expire(self, row: Approval, now: datetime) -> bool:
        """End a request that nobody answered in time; False if it was answered first."""
        with self._stores.control.transaction() as tx:
            return approval_ledger.end(tx, row.id, ApprovalState.EXPIRED, now) is not None

    def _append_event(self, row: Approval, words: str, answer: Answer) -> None:
        """Append an answer to the timeline of the change's run, which may be in another store."""
        if row.run_id is not None and self._runs.find(row.run_id) is not None:
            said = f": {answer.comment}" if answer.comment else ""
            sentence = f"merge of change request #{row.change} {words}{said}"
            self._runs.append_event_once(row.run_id, answer.at, "note", sentence)

    def settle_once(self, now: datetime) -> int:
        """Settle the approvals of all projects that want some; return how many changed."""
        return sum(self._settle(one, now) for one in self._ledger.asking_projects())

    def _settle_soon(self, project_id: str) -> None:
        now = self._clock()
        # most projects ask for none: only a read then
        for one in self._ledger.asking_projects(project_id or None):
            self._settle(one, now)

    def _settle(self, project_id: str, now: datetime) -> int:
        """Ask for the approvals of open changes, and end the pending ones that became void."""
        with self._stores.control.reading() as session:
            if _due(session, project_id) is None:
                return 0
        with self._stores.control.transaction() as tx:
            tx.begin_now()
            due = _due(tx, project_id)
            if due is None:
                return 0
            for row, state, because in due.ends:
                approval_ledger.end(tx, row.id, state, now, because=because)
            for change in due.unasked:
                self._ask(tx, due.project, change, now)
        return len(due.ends) + len(due.unasked)

    def _ask(
        self, tx: Transaction, project: Project, change: ChangeRequest, now: datetime
    ) -> Approval:
        # an earlier commit's request must not be in the way
        approval_ledger.withdraw_merges(tx, project.id, change.number, now, OTHER_COMMITS)
        row = Approval(
            id=self._stores.mint_control_id("approval", now),
            project_id=project.id,
            kind=ApprovalKind.MERGE,
            title=change.title,
            run_id=change.run_id,
            issue=change.closes,
            change=change.number,
            head_sha=change.head_sha,
            asked_by=self._starter(change),
            created_at=now,
            expires_at=expiry_of(now, project.approval_days),
        )
        words = f"needs you: change request #{change.number} needs approval before it is merged"
        approval_ledger.add(tx, row, words)
        return row

    def _starter(self, change: ChangeRequest) -> str | None:
        """Return who started the run of a change, None if nobody did."""
        run = self._runs.find(change.run_id) if change.run_id else None
        return None if run is None or run.trigger == Trigger.AUTO else run.created_by

    def _pending(self, tx: Transaction, row: Approval) -> Approval:
        tx.begin_now()
        latest = tx.get(Approval, row.id, with_for_update=True, populate_existing=True)
        if latest is None or latest.state != ApprovalState.PENDING:
            raise AlreadyAnswered
        return latest


@dataclass(frozen=True)
class _Due:
    """The work of settling a project: requests to end, each with why, and changes to ask for."""

    project: Project
    ends: list[tuple[Approval, ApprovalState, str | None]]
    unasked: list[ChangeRequest]


def _due(session: Session, project_id: str) -> _Due | None:
    """Return what is to be done for a project now, None for nothing."""
    project = session.get(Project, project_id)
    if project is None:
        return None
    due = _Due(project, [], [])
    for row in approval_ledger.pending_merges(session, project_id):
        if (end := _end_of(session, project, row)) is not None:
            due.ends.append((row, *end))
    if project.approve_merge and project.archived_at is None:
        query = select(ChangeRequest).where(
            ChangeRequest.project_id == project_id, ChangeRequest.state == "open"
        )
        changes = session.exec(query.order_by(col(ChangeRequest.number))).all()
        due.unasked.extend(one for one in changes if not asked_in(session, one).is_any)
    return due if due.ends or due.unasked else None


def _end_of(
    session: Session, project: Project, row: Approval
) -> tuple[ApprovalState, str | None] | None:
    change = session.get(ChangeRequest, (project.id, row.change))
    if change is None or change.state != "open":
        return ApprovalState.WITHDRAWN, ENDED_ALREADY
    if change.head_sha != row.head_sha:
        return ApprovalState.WITHDRAWN, OTHER_COMMITS
    if not project.approve_merge:
        return ApprovalState.WITHDRAWN, NOT_NEEDED
    # the project wants fewer now
    is_enough = len(asked_in(session, change).approvers) >= project.approve_merge
    return (ApprovalState.APPROVED, None) if is_enough else None


def _why_not(project: Project, change: ChangeRequest, asked: Asked) -> str | None:
    if asked.rejected is not None:
        return f"Change request #{change.number} may not be merged: {asked.rejected.because}"
    left = project.approve_merge - len(asked.approvers)
    return needed_words(left, f"Change request #{change.number}") if left > 0 else None


def _told(row: Approval, state: ApprovalState) -> dict[str, object]:
    return {"state": state, "approvals": len(row.answers), "commit": row.head_sha}
