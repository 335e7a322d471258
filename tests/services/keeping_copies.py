"""Runs that are over and whose copy is still there, and the time that passes for it."""

from __future__ import annotations

from app.records.people.audit_ledger import Deed
from app.records.tables import Run
from app.services.retention.working_copies import CopyRetention
from tests.planes import COMMIT, RealPlane

HOUR, DAY = 3600, 86400
DIRTY = f"{COMMIT}; echo mine > unsaved.txt; exit 3"


def copies(plane: RealPlane) -> CopyRetention:
    """What removes them."""
    return plane.services.retention.copies


def clear(plane: RealPlane) -> int:
    """One round; how many went."""
    return copies(plane).clear_once(plane.clock())


def leaving(plane: RealPlane) -> list[tuple[str, str]]:
    """What is shown to go, and why."""
    return [(one.run_id, one.because) for one in copies(plane).standing().leaving]


def kept_run(plane: RealPlane, script: str = DIRTY) -> Run:
    """A run that has ended with commits and something else in its copy."""
    run = plane.finish(plane.add_project(script))
    assert run.parked
    assert plane.copy(run).is_dir()
    return run


def tidy(plane: RealPlane, run: Run) -> None:
    """A person throws away what was not committed."""
    (plane.copy(run) / "unsaved.txt").unlink()


def deliver(plane: RealPlane, run: Run) -> None:
    """A person delivers what was parked; the copy stays."""
    deed = Deed(plane.person, "deliver", "by a test", "corr", run.project_id, run.id)
    plane.services.salvage.deliver(run.id, deed, None, plane.clock())


def left_run(plane: RealPlane) -> Run:
    """A run whose copy is left after its delivery, with nothing in it that is not elsewhere."""
    run = kept_run(plane)
    tidy(plane, run)
    deliver(plane, run)
    return run


def pass_by(plane: RealPlane, days: float) -> int:
    """Time goes by, and rounds with it: one that shows, and one that acts; how many went."""
    plane.clock.advance(days * DAY)
    assert clear(plane) == 0, "nothing goes that was not shown to go"
    plane.clock.advance(HOUR)
    return clear(plane)
