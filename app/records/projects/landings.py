"""Merges of change requests without a person: begun, told in the audit, or left to a person."""
# stands alone: the tracker's ledger is full

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ColumnElement, update
from sqlmodel import col, func, select

from app.domain.review.autoland import landed_words
from app.records.database.database import Transaction
from app.records.feed import ProjectChanged
from app.records.people.audit_ledger import acting, by_loop, current_act, record
from app.records.stores.routing import Stores
from app.records.tables import ChangeComment, ChangeRequest

DEED = "autoland"


def begin_landing(stores: Stores, change: ChangeRequest, reason: str) -> ChangeRequest | None:
    """Record that a change is about to be merged; return it, or None if it moved or ended."""
    query = update(ChangeRequest).where(*_as_read(change)).values(landing=reason)
    with stores.control.transaction() as tx:
        return tx.scalars(query.returning(ChangeRequest)).one_or_none()


def leave_to_person(
    stores: Stores, change: ChangeRequest, note: str | None, seen: str | None
) -> None:
    """Record why a change was not merged, and for which commits and rules that is settled."""
    if (change.autoland_note, change.autoland_seen, change.landing) == (note, seen, None):
        return
    columns = {"autoland_note": note, "autoland_seen": seen, "landing": None}
    query = update(ChangeRequest).where(*_as_read(change)).values(**columns)
    with stores.control.transaction() as tx:
        is_noted = tx.scalars(query.returning(col(ChangeRequest.number))).one_or_none() is not None
        if is_noted and note != change.autoland_note:
            tx.publish(ProjectChanged(change.project_id))


def settle_landing(tx: Transaction, ended: ChangeRequest, now: datetime) -> None:
    """Note and audit a merge without a person, in the transaction that ends the change.

    Also for one that a killed server had pushed; a person's own act is theirs. No merge of the
    change is waited for any more.
    """
    reason, ended.landing = ended.landing, None
    ended.merge_waits = ended.merge_note = None
    is_own = ended.state == "merged" and reason is not None and current_act() is None
    ended.autoland_note = landed_words(reason) if is_own and reason else None
    if is_own:
        place = f"{ended.project_id}/changes/{ended.number}"
        with acting(by_loop(DEED, uuid.uuid4().hex, now)):
            after = {"state": ended.state, "because": ended.autoland_note}
            record(tx, place, before={"state": "open"}, after=after)


def count_unsent(stores: Stores, change: ChangeRequest) -> int:
    """Return how many comments of anybody on a change are not sent yet."""
    query = select(func.count()).where(
        ChangeComment.project_id == change.project_id,
        ChangeComment.number == change.number,
        col(ChangeComment.round).is_(None),
    )
    with stores.control.reading() as session:
        return session.exec(query).one()


def _as_read(change: ChangeRequest) -> tuple[ColumnElement[bool], ...]:
    return (
        col(ChangeRequest.project_id) == change.project_id,
        col(ChangeRequest.number) == change.number,
        col(ChangeRequest.state) == "open",
        col(ChangeRequest.head_sha) == change.head_sha,
    )
