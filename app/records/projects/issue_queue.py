"""The queue of a project's open issues: moving one to a place among those of its priority."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import String, literal_column, update
from sqlmodel import Session, col, select

from app.domain.issues import queue_order
from app.records.database.database import Transaction
from app.records.tables import IssueRow, Project

# exactly as in the partial indexes' conditions, or SQLite does not use them
OPEN = literal_column("'open'", String)


@dataclass(frozen=True)
class Beside:
    """The place directly before or after another issue, given by its number."""

    number: int
    is_after: bool = False


class NoPlace(Exception):
    """Raised if an issue cannot have this place; the message says why."""


class _Standing(NamedTuple):
    """An issue that stands in the queue."""

    number: int
    priority: str
    rank: int | None


def lock_queue(tx: Transaction, project_id: str) -> None:
    """Keep others from moving issues of the project until the transaction ends."""
    tx.exec(select(Project.id).where(Project.id == project_id).with_for_update()).one_or_none()


def leaves_place(row: IssueRow, columns: Mapping[str, Any]) -> bool:
    """Return True if a change takes an issue out of the place that a person gave it."""
    changed = {name: columns.get(name, getattr(row, name)) for name in ("priority", "state")}
    is_open = changed["state"] == "open"
    return row.rank is not None and not (is_open and changed["priority"] == row.priority)


def take_place(
    tx: Transaction, row: IssueRow, place: Beside, columns: Mapping[str, Any]
) -> dict[str, Any]:
    """Rank the issues before a place anew; return rank and priority of the issue moved there.

    Issues behind it that nobody has moved keep no rank: their numbers order them. The caller has
    locked the queue. Raises NoPlace.
    """
    if columns.get("state", row.state) != "open":
        raise NoPlace(f"#{row.number} is closed, so it has no place in the queue.")
    neighbor = tx.get(IssueRow, (row.project_id, place.number))
    if place.number == row.number or neighbor is None or neighbor.state != "open":
        raise NoPlace(f"#{place.number} is not another open issue of this project.")
    if columns.get("priority", neighbor.priority) != neighbor.priority:
        raise NoPlace(f"#{place.number} has the priority {neighbor.priority}.")
    before = _standing(tx, row.project_id, neighbor.priority)
    others = [one for one in before if one.number != row.number]
    at = next(at for at, one in enumerate(others) if one.number == place.number) + place.is_after
    ranked = sum(one.rank is not None for one in others)
    after = [*others[:at], _Standing(row.number, neighbor.priority, None), *others[at:]]
    ranks = {one.number: rank for rank, one in enumerate(after[: max(at, ranked) + 1], start=1)}
    moved = [
        {"project_id": row.project_id, "number": one.number, "rank": ranks[one.number]}
        for one in others
        if ranks.get(one.number, one.rank) != one.rank
    ]
    if moved:
        tx.exec(update(IssueRow), params=moved)
    return {"priority": neighbor.priority, "rank": ranks[row.number]}


def _standing(session: Session, project_id: str, priority: str) -> list[_Standing]:
    """Return the open issues of a priority, first in the queue first."""
    query = select(IssueRow.number, IssueRow.priority, IssueRow.rank).where(
        col(IssueRow.project_id) == project_id,
        col(IssueRow.state) == OPEN,
        col(IssueRow.priority) == priority,
    )
    return sorted((_Standing(*one) for one in session.exec(query)), key=queue_order)
