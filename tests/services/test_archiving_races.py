"""Archiving and accepting at the same moment: one of them is refused, whichever was second."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from sqlalchemy import event

from app.errors import ProjectArchived, ProjectBusy
from tests.planes import RealPlane


def before_next_write(plane: RealPlane, statement: str, *values: Any) -> None:
    """Let another server write just before this one's next transaction begins."""
    done: list[bool] = []
    engine, file = plane.database.engine, plane.settings.data_root / "runyard.db"

    def write(*_: Any) -> None:
        if done:
            return
        done.append(True)
        other = sqlite3.connect(file, isolation_level=None)
        assert other.execute(statement, values).rowcount == 1
        other.close()

    event.listen(engine, "checkout", write)


def test_a_project_archived_between_check_and_insert_gets_no_run(plane: RealPlane) -> None:
    project = plane.add_project()
    order = plane.order(project)
    before_next_write(plane, "UPDATE project SET archived_at = created_at WHERE id = ?", project.id)
    with pytest.raises(ProjectArchived):
        plane.accept(order)
    assert plane.rows() == []


def test_a_project_with_a_run_accepted_between_check_and_write_is_not_archived(
    plane: RealPlane,
) -> None:
    project = plane.add_project("exit 1")
    run = plane.finish(project)
    before_next_write(plane, "UPDATE runs SET released_at = NULL WHERE id = ?", run.id)
    with pytest.raises(ProjectBusy):
        plane.services.projects.archive(project.id, plane.clock())
    assert plane.project(project.id).archived_at is None
