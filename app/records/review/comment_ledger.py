"""The ledger of reviews: comments on change requests, and the files that people have viewed."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, delete, or_, update
from sqlmodel import col, func, select

from app.records.database.database import Transaction
from app.records.feed import ProjectChanged
from app.records.people.audit_ledger import record
from app.records.stores.routing import Stores
from app.records.tables import ChangeComment, ChangeRequest, ViewedFile

# on one change request, sent ones and drafts of everybody
MOST_COMMENTS = 1000


class TooManyComments(Exception):
    """The change request has as many comments as it can hold."""


class CommentLedger:
    """Comments and viewed files, in the control store. Only its author changes a draft."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def of_change(self, project_id: str, number: int, person_id: str) -> list[ChangeComment]:
        """Return the comments on a change that a person sees, oldest first."""
        query = select(ChangeComment).where(
            ChangeComment.project_id == project_id,
            ChangeComment.number == number,
            or_(col(ChangeComment.round).is_not(None), col(ChangeComment.person_id) == person_id),
        )
        with self._stores.control.reading() as session:
            return list(session.exec(query.order_by(col(ChangeComment.id))).all())

    def add(self, comment: ChangeComment) -> bool:
        """Add a draft; return False if its change is not open. Raises TooManyComments."""
        place = (comment.project_id, comment.number)
        with self._stores.control.transaction() as tx:
            if not _is_open(tx, *place):
                return False
            count = select(func.count()).where(
                ChangeComment.project_id == place[0], ChangeComment.number == place[1]
            )
            if tx.scalars(count).one() >= MOST_COMMENTS:
                raise TooManyComments
            tx.add(comment)
            record(tx)
        return True

    def edit(self, draft: ChangeComment, text: str) -> ChangeComment | None:
        """Give a draft another text; return None if it has been sent or deleted."""
        query = update(ChangeComment).where(*_is_draft(draft)).values(text=text)
        with self._stores.control.transaction() as tx:
            edited = tx.scalars(query.returning(ChangeComment)).one_or_none()
            if edited is not None:
                record(tx)
            return edited

    def remove(self, draft: ChangeComment) -> bool:
        """Delete a draft; return False if it has been sent or deleted."""
        query = delete(ChangeComment).where(*_is_draft(draft)).returning(col(ChangeComment.id))
        with self._stores.control.transaction() as tx:
            is_removed = tx.scalars(query).one_or_none() is not None
            if is_removed:
                record(tx)
            return is_removed

    def drafts_on(self, project_id: str, number: int) -> set[int]:
        """Return the ids of everybody's drafts on a change."""
        query = select(col(ChangeComment.id)).where(
            ChangeComment.project_id == project_id,
            ChangeComment.number == number,
            col(ChangeComment.round).is_(None),
        )
        with self._stores.control.reading() as session:
            return {id_ for id_ in session.exec(query) if id_ is not None}

    def mark_sent(self, ids: Collection[int], run_id: str, round_: int) -> int:
        """Record that a run got these drafts; return how many were drafts until now."""
        query = (
            update(ChangeComment)
            .where(col(ChangeComment.id).in_(ids), col(ChangeComment.round).is_(None))
            .values(round=round_, run_id=run_id)
        )
        with self._stores.control.transaction() as tx:
            places = tx.scalars(query.returning(col(ChangeComment.project_id))).all()
            tx.publish(*(ProjectChanged(one) for one in set(places)))
            return len(places)

    def places_left(self, until: datetime, *, limit: int) -> list[tuple[str, int]]:
        """Return changes that ended by `until` and still have drafts: project and number."""
        query = (
            select(ChangeComment.project_id, ChangeComment.number)
            .join(
                ChangeRequest,
                (col(ChangeRequest.project_id) == col(ChangeComment.project_id))
                & (col(ChangeRequest.number) == col(ChangeComment.number)),
            )
            .where(
                col(ChangeComment.round).is_(None),
                ChangeRequest.state != "open",
                col(ChangeRequest.ended_at) <= until,
            )
            .distinct()
            .order_by(col(ChangeComment.project_id), col(ChangeComment.number))
        )
        with self._stores.control.reading() as session:
            return list(session.exec(query.limit(limit)).all())

    def remove_left(self, project_id: str, number: int) -> int:
        """Delete everybody's drafts on a change unless it is open; return how many."""
        query = delete(ChangeComment).where(
            col(ChangeComment.project_id) == project_id,
            col(ChangeComment.number) == number,
            col(ChangeComment.round).is_(None),
        )
        with self._stores.control.transaction() as tx:
            if _is_open(tx, project_id, number):
                return 0
            gone = len(tx.scalars(query.returning(col(ChangeComment.id))).all())
            if gone:
                tx.publish(ProjectChanged(project_id))
            return gone

    # --- viewed files --------------------------------------------------------------------------

    def viewed(self, project_id: str, number: int, person_id: str) -> dict[str, str]:
        """Return the content (blob) of each file as this person viewed it, by path."""
        query = select(ViewedFile.path, ViewedFile.blob).where(
            ViewedFile.project_id == project_id,
            ViewedFile.number == number,
            ViewedFile.person_id == person_id,
        )
        with self._stores.control.reading() as session:
            return dict(session.exec(query).all())

    def set_viewed(self, file: ViewedFile, *, is_viewed: bool) -> None:
        """Mark a file as viewed by a person in its present content, or not."""
        with self._stores.control.transaction() as tx:
            if is_viewed:
                tx.merge(file)
                return
            tx.exec(
                delete(ViewedFile).where(
                    col(ViewedFile.person_id) == file.person_id,
                    col(ViewedFile.project_id) == file.project_id,
                    col(ViewedFile.number) == file.number,
                    col(ViewedFile.path) == file.path,
                )
            )


def _is_open(tx: Transaction, project_id: str, number: int) -> bool:
    change = tx.get(ChangeRequest, (project_id, number))
    return change is not None and change.state == "open"


def _is_draft(draft: ChangeComment) -> tuple[ColumnElement[bool], ...]:
    return (
        col(ChangeComment.id) == draft.id,
        col(ChangeComment.person_id) == draft.person_id,
        col(ChangeComment.round).is_(None),
    )
