"""Of runs that have left a log on disk: those that are over."""

from __future__ import annotations

from collections.abc import Collection

from sqlmodel import col
from sqlmodel import select as select_rows

from app.records.routing import Stores
from app.records.tables import Run


def over_and_done(stores: Stores, ids: Collection[str]) -> dict[str, Run]:
    """The runs among these that are proved gone and wait for nothing, by id."""
    query = select_rows(Run).where(
        col(Run.released_at).is_not(None), col(Run.may_resume).is_(False)
    )
    found: dict[str, Run] = {}
    for database, theirs in stores.by_owner(ids).items():
        with database.reading() as session:
            of_theirs = query.where(col(Run.id).in_(theirs))
            found |= {run.id: run for run in session.exec(of_theirs).all()}
    return found
