"""The change requests among which a crash may have left work: the last ended, and the open."""

from __future__ import annotations

from sqlmodel import col, select

from app.records.routing import Stores
from app.records.tables import ChangeRequest


def newest_ended(stores: Stores, *, limit: int) -> list[ChangeRequest]:
    """Change requests that were merged or closed, the latest first."""
    query = select(ChangeRequest).where(ChangeRequest.state != "open")
    query = query.order_by(col(ChangeRequest.ended_at).desc()).limit(limit)
    with stores.control.reading() as session:
        return list(session.exec(query).all())


def undecided(stores: Stores, project_id: str) -> list[ChangeRequest]:
    """A project's change requests that are open, the oldest first."""
    query = select(ChangeRequest).where(
        ChangeRequest.project_id == project_id, ChangeRequest.state == "open"
    )
    with stores.control.reading() as session:
        return list(session.exec(query.order_by(col(ChangeRequest.number))).all())
