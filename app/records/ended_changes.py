"""The change requests that were ended last: those among which a crash may have left work."""

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
