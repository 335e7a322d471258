"""Change requests that revert merged ones."""
# stands alone: the file of the tracker is full

from __future__ import annotations

from sqlmodel import col, select

from app.records.stores.routing import Stores
from app.records.tables import ChangeRequest


def reverts_of(stores: Stores, project_id: str) -> list[ChangeRequest]:
    """Return the change requests of a project that revert another one, oldest first."""
    query = select(ChangeRequest).where(
        ChangeRequest.project_id == project_id, col(ChangeRequest.reverts).is_not(None)
    )
    with stores.control.reading() as session:
        return list(session.exec(query.order_by(col(ChangeRequest.number))).all())
