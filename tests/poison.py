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

    def write(change: str) -> None:
        with plane.ledgers.projects.stores.control.transaction() as tx:
            tx.execute(text(f"UPDATE project SET {change} WHERE id = :id"), {"id": project.id})  # noqa: S608

    # neither is a value that Python can be given
    bad = "frameworks = '{'" if plane.database.is_sqlite else "created_at = 'infinity'"
    write(bad)
    yield
    write(f"frameworks = '[\"auto\"]', created_at = '{project.created_at}'")
