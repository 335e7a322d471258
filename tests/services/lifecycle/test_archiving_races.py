"""Archiving and accepting at the same moment: the second of them is refused."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event, text

from app.errors import ProjectArchived, ProjectBusy
from app.records.database.database import Database
from tests.drivers.planes import RealPlane


def before_next_write(plane: RealPlane, statement: str, row_id: str) -> None:
    """Execute a statement from another server just before the next transaction there."""
    done: list[bool] = []
    store = plane.stores.owner_of(row_id)

    def write(*_: Any) -> None:
        if done:
            return
        done.append(True)
        other = Database(store.url, publish=lambda _: None)
        with other.transaction() as tx:
            assert tx.scalars(text(f"{statement} RETURNING id"), {"id": row_id}).all() == [row_id]
        other.close()

    event.listen(store.engine, "checkout", write)


def test_a_project_archived_between_check_and_insert_gets_no_run(plane: RealPlane) -> None:
    project = plane.add_project()
    order = plane.order(project)
    archived = "UPDATE project SET archived_at = created_at WHERE id = :id"
    before_next_write(plane, archived, project.id)
    with pytest.raises(ProjectArchived):
        plane.accept(order)
    assert plane.rows() == []


def test_a_project_with_a_run_accepted_between_check_and_write_is_not_archived(
    plane: RealPlane,
) -> None:
    project = plane.add_project("exit 1")
    run = plane.finish(project)
    before_next_write(plane, "UPDATE runs SET released_at = NULL WHERE id = :id", run.id)
    with pytest.raises(ProjectBusy):
        plane.services.projects.archive(project.id, plane.clock())
    assert plane.project(project.id).archived_at is None
