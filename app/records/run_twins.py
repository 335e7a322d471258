"""Runs that are equal to another: what somebody would do twice without a key."""

from __future__ import annotations

from sqlmodel import Session, col
from sqlmodel import select as select_rows

from app.records.spans import every
from app.records.tables import Run

SAME = (
    *("agent", "issue", "pr_number", "branch_name"),
    *("task", "depth_level", "target_framework"),
)


def find_twin(session: Session, run: Run) -> Run | None:
    """An open run of the same project that does the same; the model does not matter."""
    same = [col(getattr(Run, name)).is_not_distinct_from(getattr(run, name)) for name in SAME]
    query = select_rows(Run).where(Run.project_id == run.project_id, col(Run.released_at).is_(None))
    query = query.where(*same).limit(1)
    return next((run for one in every(session) for run in one.exec(query)), None)
