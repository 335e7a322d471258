"""The quota page: the window, its countdown, and open runs per project."""

from __future__ import annotations

from pathlib import Path

import pytest
from nicegui.testing.user import User

from app.api.client import batch_calls
from app.pages.components.banners import limits_html
from tests.builders.run_scenes import WAITS, add_project, start, until_status
from tests.pages.conftest import House, html_of, until


@pytest.fixture
def five_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNYARD_RUN_QUOTA", "5")


@pytest.mark.usefixtures("five_runs")
async def test_the_gauges_follow_what_is_started_and_stopped(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, WAITS, "<b>shop</b>", max_concurrency=2)
    await user.open("/quota")
    assert "of 5 runs used" in html_of(user)
    assert "No run is in the window." in html_of(user)
    assert "No project has an open run." in html_of(user)
    run = await start(house, user, project, "k1")
    await until(lambda: "1 of 2" in html_of(user))
    await until(lambda: '<b class="figure">1 ' in html_of(user))
    assert "4 runs left" in html_of(user)
    assert "data-until=" in html_of(user)
    assert "&lt;b&gt;shop&lt;/b&gt;" in html_of(user)
    await until_status(house, run.id, "running")
    await house.api_of(user).stop(run.id)
    await until(lambda: "No project has an open run." in html_of(user))
    assert '<b class="figure">1 ' in html_of(user), "a run that has ended still counts"


async def test_the_window_of_batches_stands_beside_it(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, WAITS)
    await user.open("/quota")
    assert "of 1000 batch items used" in html_of(user)
    assert "1000 items left in a rolling window of 1 hour. A batch counts" in html_of(user)
    await house.api_of(user).ask(batch_calls.make_batch(project.id, 40))
    await until(lambda: '<b class="figure">40 ' in html_of(user))
    assert "960 items left" in html_of(user)
    assert "The oldest batch stops counting in" in html_of(user)


async def test_degraded_limits_are_said_and_sound_ones_are_not(house: House, user: User) -> None:
    system = await house.api_of(user).system()
    assert limits_html(system) == ""
    assert "limits degraded" in limits_html(system.model_copy(update={"limits": "degraded"}))


@pytest.mark.usefixtures("five_runs")
async def test_the_page_says_what_the_form_says_and_whose_limit_it_is(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, WAITS, max_concurrency=9)
    await user.open("/quota")
    assert "quota-banner" not in html_of(user)
    assert "Runyard&#x27;s own limit: 5 runs an hour · " in html_of(user)
    assert "Runyard&#x27;s own limit: 1000 batch items an hour · " in html_of(user)
    assert '<a href="/settings?tab=limits">Settings</a>' in html_of(user)
    runs = [await start(house, user, project, f"k{number}") for number in range(5)]
    await until(lambda: "Quota exhausted — next window opens in " in html_of(user))
    for run in runs:
        await house.api_of(user).stop(run.id)
