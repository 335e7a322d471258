"""Shared helpers for tests of retries."""

from __future__ import annotations

from typing import Any

from app.records.tables import Project, Run
from app.services.kept.retry import RetryOptions
from app.services.runs.requests import Accepted
from tests.drivers.planes import COMMIT, DrivenPlane

# the first run leaves a commit and a file; every later one finds both and commits the file
TWO_TRIES = (
    f"if [ -e left.txt ]; then git add -A && git commit -qm Second; "
    f"else {COMMIT}; echo left > left.txt; exit 3; fi"
)


def accept(plane: DrivenPlane, run: Run | str, key: str | None = None, **wishes: Any) -> Accepted:
    """Order a retry, one second later."""
    now = plane.clock.advance(1)
    run_id = run if isinstance(run, str) else run.id
    return plane.services.retry.retry(run_id, RetryOptions(**wishes), plane.requester(key), now)


def retry(plane: DrivenPlane, run: Run, key: str | None = None, **wishes: Any) -> Run:
    """Order a retry and wait for its launch."""
    accepted = accept(plane, run, key, **wishes)
    plane.rest()
    return plane.run(accepted.run.id)


def died(plane: DrivenPlane, project: Project) -> Run:
    """Return a died run of a new issue with parked work."""
    run = plane.finish(project, issue=plane.add_issue(project).number)
    assert (run.status, run.parked) == ("died", True)
    return run


def kept(plane: DrivenPlane) -> list[tuple[str, str]]:
    """Return the parked branches, each with the run it belongs to."""
    return [(view.branch, view.run_id) for view in plane.services.parked.all(plane.clock())]
