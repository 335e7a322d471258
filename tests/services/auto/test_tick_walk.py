"""The walk of one tick: what it enters and asks while one run is live and nothing is due."""

from __future__ import annotations

from pathlib import Path

from tests.drivers.planes import real_plane
from tests.drivers.walks import walk

MOST_FILES, MOST_SESSIONS = 34, 5


def test_a_tick_with_one_live_run_is_a_short_walk(tmp_path: Path) -> None:
    with walk() as seen, real_plane(tmp_path) as plane:
        project = plane.add_project("exec sleep 60")
        for _ in range(2):
            plane.add_issue(project)
        plane.start_running(project)
        plane.tick()
        seen.restart()
        plane.tick()
        assert len(seen.files) <= MOST_FILES, seen.files
        assert seen.read_sessions <= MOST_SESSIONS * len(plane.stores.all())
        assert seen.transactions == 0
