"""The ledger of approvals, in the control store; every change is guarded by the state."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy
from sqlalchemy import text, update
from sqlmodel import Session, col, select

from app.domain.projects.approvals import ApprovalKind, ApprovalState, approvers_of, read_answers
from app.domain.review.inbox import change_path, run_path
from app.domain.words import Trigger
from app.records.database.cursors import is_beyond, order_from, page_from, read_cursor
from app.records.database.database import Transaction
from app.records.feed import PersonNeeded, ProjectChanged
from app.records.people.audit_ledger import acting, by_loop, record
from app.records.stores.outbox import APPROVAL_ENDED, Outbox
from app.records.stores.routing import Stores
from app.records.tables import Approval, ChangeRequest, Membership, Person, Project, Run

PENDING = ApprovalState.PENDING.value
# exactly as in their partial indexes, or SQLite does not use them
UNANSWERED = text("approval.state = 'pending'")
_IN_STATE = {one: text(f"approval.state = '{one}'") for one in ApprovalState}
OF_START, OF_MERGE = text("approval.kind = 'start'"), text("approval.kind = 'merge'")
RUN_ENDED = "its run ended before it was answered"
ENDED_ALREADY = "the change was ended first"
OTHER_COMMITS = "the change got other commits"
NOT_NEEDED = "the project asks for no approval any more"


@dataclass(frozen=True)
class ApprovalFilter:
    """A filter of approvals; `state` None is every one."""

    state: ApprovalState | None = ApprovalState.PENDING
    project_id: str | None = None
    run_id: str | None = None
    change: int | None = None


@dataclass(frozen=True)
class Asked:
    """The approvals of one commit of a change: who counts, and what was refused."""

    approvers: frozenset[str]
    pending: Approval | None
    rejected: Approval | None
    is_any: bool


class ApprovalLedger:
    """Reads approvals; returned rows are copies."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores

    def find(self, approval_id: str) -> Approval | None:
        """Return one approval, or None."""
        with self.stores.control.reading() as session:
            return session.get(Approval, approval_id)

    def page(
        self, wanted: ApprovalFilter, *, limit: int, cursor: str | None
    ) -> tuple[list[Approval], str | None, str | None]:
        """Return a page, newest first, with the cursors of both neighbors. Raises BadCursor."""
        place = read_cursor(cursor, lambda id_: id_.startswith("approval_"))
        when, which = col(Approval.created_at), col(Approval.id)
        query = select(Approval).order_by(*order_from(place, when, which)).limit(limit + 1)
        if place is not None:
            query = query.where(is_beyond(place, when, which))
        if wanted.state is not None:
            query = query.where(_IN_STATE[wanted.state])
        if wanted.project_id is not None:
            query = query.where(Approval.project_id == wanted.project_id)
        if wanted.run_id is not None:
            query = query.where(Approval.run_id == wanted.run_id)
        if wanted.change is not None:
            query = query.where(Approval.change == wanted.change)
        with self.stores.control.reading() as session:
            return page_from(place, list(session.exec(query)), limit)

    def of_change(self, change: ChangeRequest) -> Asked:
        """Return the approvals of a change's present commit."""
        with self.stores.control.reading() as session:
            return asked_in(session, change)

    def overdue(self, now: datetime) -> list[Approval]:
        """Return the pending approvals that have expired, the first one first."""
        query = select(Approval).where(UNANSWERED, col(Approval.expires_at) <= now)
        with self.stores.control.reading() as session:
            return list(session.exec(query.order_by(col(Approval.expires_at))))

    def declined(self, project_id: str, issues: Collection[int]) -> set[int]:
        """Return those issues whose last start was refused, or was not answered in time."""
        columns = (
            col(Approval.created_at),
            col(Approval.id),
            col(Approval.issue),
            col(Approval.state),
        )
        query = sqlalchemy.select(*columns).where(
            OF_START, col(Approval.project_id) == project_id, col(Approval.issue).in_(issues)
        )
        with self.stores.control.reading() as session:
            rows = sorted(session.connection().execute(query).all())
        newest = {issue: state for _, _, issue, state in rows}
        return {one for one, state in newest.items() if one is not None and state in _DECLINED}

    def asking_projects(self, project_id: str | None = None) -> list[str]:
        """Return the projects that want approvals of merges, or still have pending ones.

        With `project_id` only that one, if it does.
        """
        wanting = select(Project.id).where(col(Project.approve_merge) > 0)
        pending = select(Approval.project_id).where(UNANSWERED, OF_MERGE)
        if project_id is not None:
            wanting = wanting.where(Project.id == project_id)
            pending = pending.where(Approval.project_id == project_id).limit(1)
        with self.stores.control.reading() as session:
            return sorted({*session.exec(wanting), *session.exec(pending)})

    def needed_of(self, project_ids: Collection[str]) -> dict[str, int]:
        """Return how many approvals a merge needs, by project id."""
        query = select(Project.id, Project.approve_merge).where(col(Project.id).in_(project_ids))
        with self.stores.control.reading() as session:
            return dict(session.exec(query).all())

    def names(self, people: Collection[str]) -> dict[str, str]:
        """Return the names of these people, by id; unknown ids are missing."""
        query = select(Person).where(col(Person.id).in_(people))
        with self.stores.control.reading() as session:
            return {one.id: one.shown_name for one in session.exec(query)}

    def is_only_person(self, person_id: str) -> bool:
        """Return True if nobody else can approve: no other operator who is not disabled."""
        query = (
            select(Person.id)
            .join(Membership, col(Membership.person_id) == Person.id)
            .where(
                Person.id != person_id,
                col(Person.disabled_at).is_(None),
                col(Membership.role).in_(("operator", "admin")),
            )
            .limit(1)
        )
        with self.stores.control.reading() as session:
            return session.exec(query).first() is None


def page_of(row: Approval) -> str:
    """Return the path of the page of what is to be approved."""
    if row.change is not None:
        return change_path(row.project_id, row.change)
    return run_path(row.run_id or "")


def pending_merges(session: Session, project_id: str) -> list[Approval]:
    """Return the pending approvals of merges in a project."""
    query = select(Approval).where(UNANSWERED, OF_MERGE, Approval.project_id == project_id)
    return list(session.exec(query).all())


def asked_in(session: Session, change: ChangeRequest) -> Asked:
    """Do the same as `ApprovalLedger.of_change`, as a session of the control store sees it."""
    query = select(Approval).where(
        OF_MERGE,
        Approval.project_id == change.project_id,
        Approval.change == change.number,
        Approval.head_sha == change.head_sha,
    )
    # sorted here: by the order of times, SQLite would look at those of the whole project
    rows = sorted(session.exec(query), key=lambda one: (one.created_at, one.id))
    approvers = [approvers_of(read_answers(one.answers), but=one.asked_by) for one in rows]
    by_state = {one.state: one for one in rows}
    return Asked(
        frozenset[str]().union(*approvers),
        by_state.get(PENDING),
        by_state.get(ApprovalState.REJECTED),
        bool(rows),
    )


def add_start(tx: Transaction, stores: Stores, run: Run, data: Mapping[str, Any]) -> None:
    """Ask for the approval of a run's start, in a transaction of the control store; once."""
    asked = select(Approval.id).where(Approval.run_id == run.id, OF_START)
    if tx.scalars(asked).first() is not None:
        return
    row = Approval(
        id=stores.mint_control_id("approval", run.created_at),
        project_id=run.project_id,
        kind=ApprovalKind.START,
        title=run.title,
        run_id=run.id,
        trigger=run.trigger,
        issue=run.issue,
        asked_by=None if run.trigger == Trigger.AUTO else run.created_by,
        created_at=run.created_at,
        expires_at=datetime.fromisoformat(data["expires_at"]),
    )
    add(tx, row, f"needs you: a run waits for approval{_of_issue(run.issue)}")


def add(tx: Transaction, row: Approval, what: str) -> None:
    """Add a pending approval, with its notification."""
    tx.add(row)
    tx.flush()
    key, path = f"approval:{row.id}", page_of(row)
    tx.record_event(PersonNeeded(key, row.project_id, what, row.title, path))
    tx.publish(ProjectChanged(row.project_id))


def end(
    tx: Transaction, approval_id: str, state: ApprovalState, now: datetime, **columns: Any
) -> Approval | None:
    """End a pending approval; return the new row, None if it has ended already."""
    query = update(Approval).where(col(Approval.id) == approval_id, col(Approval.state) == PENDING)
    values = {"state": state.value, "ended_at": now, **columns}
    ended = tx.scalars(
        query.values(**values)
        .returning(Approval)
        .execution_options(synchronize_session=False, populate_existing=True)
    ).one_or_none()
    if ended is None:
        return None
    tx.publish(ProjectChanged(ended.project_id))
    if state is ApprovalState.EXPIRED:
        with acting(by_loop("expire_approval", uuid.uuid4().hex, now)):
            record(tx, ended.id, before={"state": PENDING}, after={"state": state.value})
    if state in (ApprovalState.REJECTED, ApprovalState.EXPIRED):
        what = f"{_subject(ended)}: its approval {_ENDS[state]}"
        key, because = f"approval-{state}:{ended.id}", ended.because or ended.title
        tx.record_event(PersonNeeded(key, ended.project_id, what, because, page_of(ended)))
    return ended


_DECLINED = (ApprovalState.REJECTED, ApprovalState.EXPIRED)
_ENDS = {ApprovalState.REJECTED: "was refused", ApprovalState.EXPIRED: "expired"}


def _subject(row: Approval) -> str:
    if row.kind == ApprovalKind.MERGE:
        return f"change request #{row.change} is not merged"
    return f"a run does not start{_of_issue(row.issue)}"


def _of_issue(issue: int | None) -> str:
    return f" for #{issue}" if issue else ""


def withdraw_with_run(stores: Stores, tx: Transaction, run: Run, now: datetime) -> None:
    """Withdraw the approval of a run that ended otherwise, in the transaction that ends it."""
    if stores.owner_of(run.id) is stores.control:
        end_of_run(tx, run.id, {"state": ApprovalState.WITHDRAWN, "because": RUN_ENDED}, now)
    else:
        data = {"state": ApprovalState.WITHDRAWN.value, "because": RUN_ENDED}
        Outbox(stores).put(tx, run.id, APPROVAL_ENDED, data, now)


def end_of_run(tx: Transaction, run_id: str, data: Mapping[str, Any], now: datetime) -> None:
    """End the approval of a run's start as `data` says, in a transaction of the control store."""
    query = select(Approval.id).where(Approval.run_id == run_id, OF_START)
    approval_id = tx.scalars(query).first()
    if approval_id is not None:
        columns = {name: data[name] for name in ("because", "answers") if name in data}
        end(tx, approval_id, ApprovalState(data["state"]), now, **columns)


def withdraw_merges(
    tx: Transaction, project_id: str, number: int, now: datetime, because: str
) -> None:
    """Withdraw the pending approvals of a change, in the transaction that makes them void."""
    of_change = (OF_MERGE, Approval.project_id == project_id, Approval.change == number)
    query = select(Approval.id).where(*of_change, UNANSWERED)
    for one in tx.scalars(query).all():
        end(tx, one, ApprovalState.WITHDRAWN, now, because=because)
