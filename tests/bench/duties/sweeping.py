"""The cost of a sweep over many projects, and how long it blocks the event loop."""

from __future__ import annotations

import asyncio
import gc
import shutil
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from app.config import Settings
from app.control_plane import ControlPlane
from app.domain.words import READY_LABEL
from app.records.tables import IssueRow, Project
from tests.bench.table import Found, Measured
from tests.builders.repositories import make_origin, run_git

IDLE_PROJECTS, BUSY_PROJECTS, ISSUES = 10_000, 1_000, 10
SHORTER = 20
ROUNDS = 5
HEARTBEAT_SECONDS = 0.002


def measure_sweeps(folder: Path, new_url: Callable[[], str | None], *, is_short: bool) -> Found:
    """Measure ticks over projects with auto on: without issues, and with every issue parked.

    `new_url` creates an empty PostgreSQL database, or returns None for SQLite.
    """
    part = SHORTER if is_short else 1
    idle, idle_lag = _time_sweeps(folder / "idle", new_url(), IDLE_PROJECTS // part, issues=0)
    busy, busy_lag = _time_sweeps(folder / "busy", new_url(), BUSY_PROJECTS // part, issues=ISSUES)
    return {
        "sweep_idle": Measured(idle),
        "sweep_busy": Measured(busy, "every issue ready and parked"),
        "sweep_lag": Measured(1000 * max(idle_lag, busy_lag), "the longest of all ticks"),
    }


def _time_sweeps(
    folder: Path, url: str | None, projects: int, *, issues: int
) -> tuple[float, float]:
    """Return the median seconds of a tick, and the longest wait of the event loop."""
    plane = ControlPlane(Settings(data_dir=folder, database_url=url, sweep_seconds=3600))
    folder.mkdir(parents=True, exist_ok=True)
    plane.migrate()
    _seed(plane, projects, issues)
    gc.freeze()  # as a server does at its start
    times, lags = [], []
    try:
        for _ in range(ROUNDS):
            plane.leases.renew_once(plane.clock())
            assert plane.leases.may_sweep(plane.clock())
            taken, lag = asyncio.run(_tick(plane))
            times.append(taken)
            lags.append(lag)
        assert plane.ledgers.runs.open_runs() == []
    finally:
        plane.stop()
    return median(times), max(lags)


async def _tick(plane: ControlPlane) -> tuple[float, float]:
    taken: list[float] = []

    def tick() -> None:
        began = time.perf_counter()
        plane.services.sweep.tick_once(plane.clock())
        taken.append(time.perf_counter() - began)

    worker = threading.Thread(target=tick)
    worker.start()
    longest, last = 0.0, time.perf_counter()
    while worker.is_alive():
        await asyncio.sleep(HEARTBEAT_SECONDS)
        now = time.perf_counter()
        longest, last = max(longest, now - last - HEARTBEAT_SECONDS), now
    worker.join()
    return taken[0], longest


def _seed(plane: ControlPlane, projects: int, issues: int) -> None:
    now = datetime.now(UTC)
    template = _make_mirror(plane.settings.data_root, issues) if issues else None
    with plane.database.transaction() as tx:
        for number in range(projects):
            project = _project(number, now)
            tx.add(project)
            for one in range(1, issues + 1):
                tx.add(_issue(project.id, one, now))
            if template is not None:
                shutil.copytree(
                    template, plane.settings.runs_root / "mirrors" / f"{project.id}.git"
                )


def _make_mirror(folder: Path, issues: int) -> Path:
    """Create a bare repository in which every issue's branch is claimed."""
    mirror = make_origin(folder / "template", bare=True)
    for number in range(1, issues + 1):
        run_git(mirror, "branch", f"afk/{number}", "main")
    return mirror


def _project(number: int, now: datetime) -> Project:
    return Project(
        id=f"proj_{number:06}",
        name=f"Project {number}",
        origin="/nowhere",
        base_branch="main",
        tracker="builtin",
        agent="script",
        agent_command=["/bin/true"],
        budget_seconds=60,
        max_concurrency=3,
        open_pr="runyard",
        branch_pattern="afk/<N>",
        frameworks=["auto"],
        sandbox="none",
        auto_enabled=True,
        state="ready",
        known_branches=["main"],
        created_at=now,
    )


def _issue(project_id: str, number: int, now: datetime) -> IssueRow:
    return IssueRow(
        project_id=project_id,
        number=number,
        title="Mend it",
        body="It is broken.",
        labels=[READY_LABEL],
        created_at=now,
    )
