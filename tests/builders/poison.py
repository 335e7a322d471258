"""Unreadable rows, as a bad disk or another program leaves them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text

from app.control_plane.plane import ControlPlane
from app.records.tables import Project


@contextmanager
def unreadable(plane: ControlPlane, project: Project) -> Iterator[None]:
    """Make every read of this project's row fail until the block ends."""

    def write(change: str) -> None:
        with plane.ledgers.projects.stores.control.transaction() as tx:
            tx.execute(text(f"UPDATE project SET {change} WHERE id = :id"), {"id": project.id})  # noqa: S608

    # the database stores either value, but it cannot be read into a Python value
    bad = "frameworks = '{'" if plane.database.is_sqlite else "created_at = 'infinity'"
    write(bad)
    yield
    write(f"frameworks = '[\"auto\"]', created_at = '{project.created_at}'")
