"""Time that passes without the scheduler's thread: scheduled fills are called at their moments."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from app.control_plane import ControlPlane


def pass_time(plane: ControlPlane, seconds: float) -> None:
    """Advance the clock; on the way call the fills that were scheduled, and no tick."""
    clock: Any = plane.clock
    until = clock() + timedelta(seconds=seconds)
    while (moment := next_fill(plane)) is not None and moment <= until:
        clock.now = max(clock(), moment)
        duty, args = _taken(plane)
        duty(*args)
        assert plane.workers.finish(20)
    clock.now = until


def next_fill(plane: ControlPlane) -> datetime | None:
    """Return the time of the scheduled fill, None if there is none."""
    jobs = _fills(plane)
    return jobs[-1].trigger.run_date if jobs else None


def _taken(plane: ControlPlane) -> tuple[Any, Any]:
    jobs = _fills(plane)
    for job in jobs:
        # a scheduler that was not started keeps those that were replaced
        job.remove()
    return jobs[-1].func, jobs[-1].args


def _fills(plane: ControlPlane) -> list[Any]:
    return [job for job in plane.scheduler._scheduler.get_jobs() if job.id == "sweep"]
