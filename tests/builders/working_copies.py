"""Ended runs whose working copy still exists, and the passing of retention times."""

from __future__ import annotations

from app.records.people.audit_ledger import Deed
from app.records.tables import Run
from app.services.retention.working_copies import CopyRetention
from tests.drivers.planes import COMMIT, RealPlane

HOUR, DAY = 3600, 86400
DIRTY = f"{COMMIT}; echo mine > unsaved.txt; exit 3"


def copies(plane: RealPlane) -> CopyRetention:
    """Return the service that removes working copies."""
    return plane.services.retention.copies


def clear(plane: RealPlane) -> int:
    """Run one retention round and return the number of removed copies."""
    return copies(plane).clear_once(plane.clock())


def leaving(plane: RealPlane) -> list[tuple[str, str]]:
    """Return the run ids announced for removal, with the reasons."""
    return [(one.run_id, one.because) for one in copies(plane).usage().leaving]


def kept_run(plane: RealPlane, script: str = DIRTY) -> Run:
    """Return an ended run with commits and an uncommitted file in its copy."""
    run = plane.finish(plane.add_project(script))
    assert run.parked
    assert plane.copy(run).is_dir()
    return run


def tidy(plane: RealPlane, run: Run) -> None:
    """Delete the uncommitted file, as a person would."""
    (plane.copy(run) / "unsaved.txt").unlink()


def deliver(plane: RealPlane, run: Run) -> None:
    """Deliver parked work, as a person would; the copy stays."""
    deed = Deed(plane.person, "deliver", "by a test", "corr", run.project_id, run.id)
    plane.services.salvage.deliver(run.id, deed, None, plane.clock())


def left_run(plane: RealPlane) -> Run:
    """Return a delivered run whose copy holds nothing that is not elsewhere."""
    run = kept_run(plane)
    tidy(plane, run)
    deliver(plane, run)
    return run


def pass_by(plane: RealPlane, days: float) -> int:
    """Advance the clock; run a round that announces and one that removes; return its count."""
    plane.clock.advance(days * DAY)
    assert clear(plane) == 0, "nothing goes that was not shown to go"
    plane.clock.advance(HOUR)
    return clear(plane)
