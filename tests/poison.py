"""Rows that cannot be read, as a bad disk or another program leaves them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text

from app.records.tables import Project
from tests.planes import RealPlane


@contextmanager
def unreadable(plane: RealPlane, project: Project) -> Iterator[None]:
    """For a while, whoever reads this project's row meets an error."""

    def write(frameworks: str) -> None:
        with plane.ledgers.projects.stores.control.transaction() as tx:
            order = text("UPDATE project SET frameworks = :text WHERE id = :id")
            tx.execute(order, {"text": frameworks, "id": project.id})

    write("{")
    yield
    write('["auto"]')
