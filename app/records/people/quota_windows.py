"""The charges in the quota windows of many people, and those that leave a window later."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func
from sqlmodel import Session, col, select

from app.records.people.reach import UNLIMITED
from app.records.stores.sessions import every
from app.records.tables import Run


@dataclass(frozen=True)
class Charges:
    """The runs that a person was charged for in a window: how many, and when the first was."""

    used: int = 0
    first: datetime | None = None


def charges_of(session: Session, people: Collection[str], since: datetime) -> dict[str, Charges]:
    """Return the charges of these people after a time, by person id; of the others, none."""
    query = (
        select(Run.charged_to, func.count(), func.min(Run.created_at))
        .where(col(Run.charged_to).in_(people), col(Run.created_at) > since)
        .group_by(col(Run.charged_to))
        .execution_options(**UNLIMITED)
    )
    found: dict[str, Charges] = {}
    for one in every(session):
        for person_id, used, first in one.exec(query):
            known = found.get(person_id or "", Charges())
            firsts = [at for at in (known.first, first) if at]
            found[person_id or ""] = Charges(known.used + used, min(firsts, default=None))
    return found


def charge_times(
    session: Session, people: Collection[str], since: datetime
) -> dict[str, list[datetime]]:
    """Return the times of these people's charges after a time, oldest first, by person id."""
    query = (
        select(Run.charged_to, Run.created_at)
        .where(col(Run.charged_to).in_(people), col(Run.created_at) > since)
        .execution_options(**UNLIMITED)
    )
    found: dict[str, list[datetime]] = {person_id: [] for person_id in people}
    for one in every(session):
        for person_id, at in one.exec(query):
            found[person_id or ""].append(at)
    return {person_id: sorted(times) for person_id, times in found.items()}
