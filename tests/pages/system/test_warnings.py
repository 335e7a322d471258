"""Warnings in the navigation rail, live on every open page."""

from __future__ import annotations

import sys
from pathlib import Path

from nicegui.testing.user import User

from tests.builders.run_scenes import DIES, add_project
from tests.pages.conftest import House, html_of, until

WORDS = "An agent is not ready"


async def test_a_warning_comes_to_an_open_page_and_goes_by_itself(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DIES)
    await user.open("/runs")
    assert WORDS not in html_of(user)
    desk, alerts = house.plane.services.projects, house.plane.services.alerts
    desk.change(project.id, agent="codex")
    alerts.check_once()
    await until(lambda: WORDS in html_of(user))
    desk.change(project.id, agent="script", agent_command=[sys.executable])
    alerts.check_once()
    await until(lambda: WORDS not in html_of(user))
