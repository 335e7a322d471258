"""Approvals of starts and merges, as people list and answer them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.domain.projects.approvals import Answer, ApprovalKind, ApprovalState, read_answers
from app.errors import AlreadyAnswered, Invalid, NotFound
from app.records.database.cursors import BadCursor
from app.records.people.approval_ledger import ApprovalFilter, ApprovalLedger, page_of
from app.records.projects.project_ledger import ProjectLedger
from app.records.runs.quarantine_ledger import Subject
from app.records.tables import Approval
from app.services.approvals.merges import MergeApprovals
from app.services.approvals.starts import StartApprovals
from app.services.system.ownership import Leases
from app.services.system.quarantine import Quarantine


@dataclass(frozen=True)
class ApprovalView:
    """An approval with what it needs, what it has, and the names to show."""

    row: Approval
    project_name: str
    needed: int
    names: Mapping[str, str]

    @property
    def answers(self) -> tuple[Answer, ...]:
        """The answers of people, the first one first."""
        return read_answers(self.row.answers)

    @property
    def approvals(self) -> int:
        """How many approvals it has."""
        return sum(one.approves for one in self.answers)

    @property
    def path(self) -> str:
        """The page of what is to be approved."""
        return page_of(self.row)

    def name_of(self, person_id: str | None) -> str | None:
        """Return a person's name, or the id of one who is gone."""
        return None if person_id is None else self.names.get(person_id, person_id)


class ApprovalRequests:
    """Lists approvals, answers them, and ends those that nobody answered in time."""

    def __init__(
        self,
        ledger: ApprovalLedger,
        projects: ProjectLedger,
        starts: StartApprovals,
        merges: MergeApprovals,
        leases: Leases,
        quarantine: Quarantine,
    ) -> None:
        self._ledger = ledger
        self._projects = projects
        self._starts = starts
        self._merges = merges
        self._leases = leases
        self._quarantine = quarantine

    def page(
        self, wanted: ApprovalFilter, *, limit: int, cursor: str | None
    ) -> tuple[list[ApprovalView], str | None, str | None]:
        """Return a page, newest first, with the cursors of both neighbors. Raises Invalid."""
        try:
            rows, after, before = self._ledger.page(wanted, limit=limit, cursor=cursor)
        except BadCursor as error:
            raise Invalid.field("cursor", "This cursor was not made by this server.") from error
        return self._views(rows), after, before

    def view(self, approval_id: str) -> ApprovalView:
        """Return one approval. Raises NotFound."""
        return self._views([self.find(approval_id)])[0]

    def find(self, approval_id: str) -> Approval:
        """Return one approval. Raises NotFound."""
        row = self._ledger.find(approval_id)
        if row is None:
            raise NotFound
        return row

    def approve(self, approval_id: str, person: str, comment: str, now: datetime) -> Approval:
        """Approve as a person. Raises NotFound, AlreadyAnswered, AlreadyEnded, OwnApproval."""
        row = self._pending(approval_id)
        answer = Answer(person, True, comment, now)
        if row.kind == ApprovalKind.START:
            self._starts.approve(row, answer, self._name(person))
        else:
            self._merges.approve(row, answer, self._name(person))
        return self.find(approval_id)

    def reject(self, approval_id: str, person: str, comment: str, now: datetime) -> Approval:
        """Reject as a person. Raises NotFound, Invalid, AlreadyAnswered, AlreadyEnded."""
        if not comment:
            raise Invalid.field("comment", "Say why, for the person who asked.")
        row = self._pending(approval_id)
        answer = Answer(person, False, comment, now)
        if row.kind == ApprovalKind.START:
            self._starts.reject(row, answer, self._name(person))
        else:
            self._merges.reject(row, answer, self._name(person))
        return self.find(approval_id)

    def expire_once(self, now: datetime) -> int:
        """Expire what nobody answered in time, on the server that sweeps; return how many."""
        if not self._leases.may_sweep(now):
            return 0
        return sum(bool(self._guarded(row, now)) for row in self._ledger.overdue(now))

    def settle_once(self, now: datetime) -> int:
        """Expire, ask and withdraw what is due; return how many approvals changed."""
        if not self._leases.may_sweep(now):
            return 0
        return self.expire_once(now) + self._merges.settle_once(now)

    def _views(self, rows: Sequence[Approval]) -> list[ApprovalView]:
        ids = {one.project_id for one in rows}
        people = {one.asked_by for one in rows} | {
            answer["person"] for one in rows for answer in one.answers
        }
        named = self._projects.names.of(ids)
        needed = self._ledger.needed_of(ids)
        names = self._ledger.names(list(filter(None, people)))
        return [
            ApprovalView(
                row,
                named.get(row.project_id, row.project_id),
                1 if row.kind == ApprovalKind.START else needed.get(row.project_id, 0),
                names,
            )
            for row in rows
        ]

    def _guarded(self, row: Approval, now: datetime) -> bool | None:
        # one that cannot be ended must not keep the others
        subject = Subject("approval", row.id, row.run_id or row.id, row.project_id, row.run_id)
        expire = self._starts.expire if row.kind == ApprovalKind.START else self._merges.expire
        return self._quarantine.guard(subject, lambda: expire(row, now))

    def _pending(self, approval_id: str) -> Approval:
        row = self.find(approval_id)
        if row.state != ApprovalState.PENDING:
            raise AlreadyAnswered
        return row

    def _name(self, person_id: str) -> str:
        return self._ledger.names([person_id]).get(person_id, person_id)
