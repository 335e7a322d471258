"""Comments at forges that runs work through: each is taken up once, and answered once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, update
from sqlmodel import col, delete, select

from app.records.stores.routing import Stores
from app.records.tables import ForgeComment


class ForgeComments:
    """Reads and writes the comments at forges that were taken up."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def of_change(self, project_id: str, number: int) -> list[ForgeComment]:
        """Return those of a change, in the order in which they were taken up."""
        query = select(ForgeComment).where(
            ForgeComment.project_id == project_id, ForgeComment.number == number
        )
        with self._stores.control.reading() as session:
            return list(session.exec(query.order_by(col(ForgeComment.taken_at))).all())

    def take_up(self, rows: Iterable[ForgeComment]) -> None:
        """Record that a run with their key is about to be accepted for these comments."""
        with self._stores.control.transaction() as tx:
            tx.add_all(rows)

    def let_go(self, project_id: str, key: str) -> None:
        """Forget comments for which no run was accepted: they are taken up again later."""
        with self._stores.control.transaction() as tx:
            tx.exec(
                delete(ForgeComment).where(
                    col(ForgeComment.project_id) == project_id,
                    col(ForgeComment.key) == key,
                    col(ForgeComment.run_id).is_(None),
                )
            )

    def note_run(self, project_id: str, key: str, run_id: str) -> None:
        """Record the run that works through the comments of a key."""
        self._write(project_id, col(ForgeComment.key) == key, run_id=run_id)

    def note_answer(self, project_id: str, run_id: str) -> None:
        """Record that the comments of a run are answered."""
        self._write(project_id, col(ForgeComment.run_id) == run_id, answered=True)

    def _write(self, project_id: str, which: ColumnElement[bool], **columns: Any) -> None:
        own = col(ForgeComment.project_id) == project_id
        with self._stores.control.transaction() as tx:
            tx.exec(update(ForgeComment).where(own, which).values(**columns))
