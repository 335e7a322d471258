"""Many waiting runs, written without being accepted one by one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import insert

from app.records.tables import Run
from tests.builders.rows import draft_run, run_id
from tests.fakes.planes import FakePlane


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
