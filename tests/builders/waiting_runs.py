"""Runs that wait until a test lets them launch, accepted, or many put into the queue at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import insert

from app.records.tables import Project, Run
from tests.builders.rows import draft_run, run_id
from tests.drivers.planes import DrivenPlane
from tests.fakes.planes import FakePlane


def accept_held(plane: DrivenPlane, project: Project, **wishes: Any) -> Run:
    """Accept a run that waits because its project is still cloning."""
    plane.ledgers.projects.change(project.id, state="cloning")
    run = plane.launch(project, **wishes)
    assert (run.status, run.hold) == ("queued", "the repository is being cloned")
    return run


def go(plane: DrivenPlane, run: Run) -> Run:
    """Let a waiting run launch, and return its current row."""
    plane.ledgers.projects.change(run.project_id, state="ready")
    plane.tick()
    return plane.run(run.id)


def put_runs(plane: FakePlane, project_id: str, count: int, **columns: Any) -> list[str]:
    """Insert so many queued runs, accepted one millisecond after another; return their ids."""
    first = plane.clock()
    moments = [first + timedelta(milliseconds=number) for number in range(count)]
    ids = [run_id(moment, split=plane.stores.are_split) for moment in moments]
    usual = draft_run(project_id=project_id, charged_to=None).model_dump()
    rows = [
        usual | {"id": id_, "created_at": moment, "work_branch": f"run/{id_}"} | columns
        for id_, moment in zip(ids, moments, strict=True)
    ]
    with plane.stores.owner_of(ids[0]).transaction() as tx:
        tx.connection().execute(insert(Run), rows)
    return ids
