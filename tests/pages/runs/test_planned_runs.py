"""Planned runs on pages: shown, created, started now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from nicegui.elements.mixins.disableable_element import DisableableElement
from nicegui.testing.user import User

from app.api.client import calls
from app.services.runs.requests import ttl_of
from app.state.runs.run_form import BAD_TTL, options_of
from tests.builders.run_scenes import WAITS, add_project, until_status
from tests.pages.conftest import House, html_of, until

NOW = datetime(2026, 11, 22, 16, 30, tzinfo=UTC)


async def test_a_planned_run_shows_its_start_and_is_started_now(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, WAITS)
    body = {"project_id": project.id, "task": "later", "delay": "1d", "ttl": 600}
    body |= {"tags": ["night & day", "big"]}
    run = await house.api_of(user).ask(calls.start_run(body, None))
    await user.open("/runs")
    assert "starts <time data-day=" in html_of(user)
    assert "Created" in html_of(user)
    await user.open(f"/runs/{run.id}")
    assert "Starts at <time data-day=" in html_of(user)
    assert "Expires after 10 min in the queue, counted from its start time" in html_of(user)
    assert 'href="/runs?tag=night+%26+day"' in html_of(user)
    user.find(marker="move-when").type("2h")
    user.find(marker="move-run").click()
    soon = (datetime.now(UTC) + timedelta(hours=2)).strftime("%Y-%m-%dT%H")
    await until(lambda: f'data-day="{soon}' in html_of(user))
    # the live event may show the new time before the answer to the press enables the buttons
    [now] = user.find(marker="start-now").elements
    assert isinstance(now, DisableableElement)
    await until(lambda: now.enabled)
    user.find(marker="start-now").click()
    await until_status(house, run.id, "running")
    await user.should_not_see(marker="start-now")
    await house.api_of(user).stop(run.id)


async def test_the_form_takes_a_start_and_tags_under_its_options(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, WAITS)
    await user.open(f"/projects/{project.id}/run")
    user.find(marker="task").type("at night")
    user.find(marker="delay").type("soon")
    user.find(marker="run-submit").click()
    await user.should_see("Write 90 (seconds)")
    user.find(marker="delay").clear().type("8h")
    user.find(marker="tags").type("night, big, night")
    user.find(marker="ttl").type("2h")
    user.find(marker="run-submit").click()

    open_runs = house.plane.ledgers.runs.open_runs
    await until(open_runs)
    [run] = open_runs()
    assert (run.status, run.tags, ttl_of(run)) == ("delayed", ["night", "big"], 7200)
    await until(lambda: "Starts at <time" in html_of(user))


def test_what_is_typed_is_read_by_the_readers_clock() -> None:
    given = options_of("tomorrow 02:00", "30m", "a, b,, a", NOW, ZoneInfo("Europe/Berlin"))
    assert given == {"delay": "2026-11-23T01:00:00.000Z", "ttl": 1800, "tags": ["a", "b"]}
    assert options_of(" ", "", " , ", NOW, None) == {}
    assert options_of("90m", "", "", NOW, None) == {"delay": 5400}


@pytest.mark.parametrize("ttl", ["soon", "0", "tomorrow 02:00"])
def test_a_time_to_wait_is_a_span(ttl: str) -> None:
    with pytest.raises(ValueError, match=BAD_TTL):
        options_of("", ttl, "", NOW, None)
