"""The conflicts of open change requests, each with the two commits that it was seen for."""
# stands alone: the tracker's ledger is full

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import update
from sqlmodel import col

from app.records.feed import ProjectChanged
from app.records.stores.routing import Stores
from app.records.tables import ChangeRequest


def note_conflicts(
    stores: Stores, change: ChangeRequest, base: str | None, files: Sequence[str] | None
) -> bool:
    """Record the conflicts of a change, as it was read, with the commit `base` of its base.

    None for files that could not be found out. Returns False if the change has ended or has other
    commits by now.
    """
    seen = None if files is None else [*files]
    query = (
        update(ChangeRequest)
        .where(
            col(ChangeRequest.project_id) == change.project_id,
            col(ChangeRequest.number) == change.number,
            col(ChangeRequest.state) == "open",
            col(ChangeRequest.head_sha) == change.head_sha,
        )
        .values(
            conflicts_seen=seen,
            conflicts_base=base,
            conflicts_head=change.head_sha,
        )
    )
    with stores.control.transaction() as tx:
        is_noted = tx.scalars(query.returning(col(ChangeRequest.number))).one_or_none() is not None
        if is_noted and seen != change.conflicts:
            tx.publish(ProjectChanged(change.project_id))
        return is_noted
