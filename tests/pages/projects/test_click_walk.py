"""The walk of a press of Start AFK run on a project's card, until the card shows the run."""

from __future__ import annotations

import asyncio
from pathlib import Path

from nicegui.testing.user import User

from tests.builders.run_scenes import WAITS, add_project
from tests.drivers.walks import Walk
from tests.pages.conftest import PATIENCE_SECONDS, House, until
from tests.pages.projects.test_projects_page import facts, press, write_issues

MOST_FILES, MOST_SESSIONS = 164, 36


async def test_a_press_of_start_is_a_short_walk_to_the_run_on_the_card(
    seen: Walk, house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, WAITS)
    await write_issues(house, user, project.id, 2)
    await user.open("/projects")
    house.plane.scheduler.stop()  # a periodic duty that comes between would be counted, too
    assert await asyncio.to_thread(house.plane.workers.finish, PATIENCE_SECONDS)
    seen.restart()
    press(user, project.id, "start-afk")
    await until(lambda: "Running #1" in facts(user, project.id))
    assert await asyncio.to_thread(house.plane.workers.finish, PATIENCE_SECONDS)
    assert len(seen.files) <= MOST_FILES, seen.files
    assert (seen.read_sessions <= MOST_SESSIONS, seen.transactions <= 8) == (True, True), seen
