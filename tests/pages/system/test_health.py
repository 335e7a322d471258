"""Health on the settings page: each check's state, since when, and which functions still work."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from nicegui.testing.user import User

from app.api.schemas import HealthOut
from app.domain.quota import LimitsMode
from app.pages.system.health import health_html
from app.services.system.store_health import (
    COUNTED,
    NEW_RUNS,
    NO_NEW_RUNS,
    Health,
    HealthService,
    PartTrouble,
)
from tests.pages.conftest import House, html_of, until

NOW = datetime(2026, 11, 22, 16, 30, tzinfo=UTC)


async def test_the_settings_say_how_the_database_is(house: House, user: User) -> None:
    await user.open("/settings")
    assert 'data-part="database" data-health="Healthy"' in html_of(user)
    await house.stop_writing("The disk fails.")
    await until(lambda: 'data-part="database" data-health="Degraded"' in html_of(user))
    assert "since <time data-day=" in html_of(user)
    assert "Pages can be read; nothing can be changed." in html_of(user)
    house.resume_writing()
    await until(lambda: 'data-health="Degraded"' not in html_of(user))


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        (LimitsMode.TABLE, []),
        (LimitsMode.REDIS, [Health.HEALTHY]),
        (LimitsMode.DEGRADED, [Health.UNREACHABLE]),
    ],
)
def test_a_lost_counter_is_unreachable_and_the_database_counts(
    mode: LimitsMode, told: list[Health]
) -> None:
    database, *counter = HealthService(lambda: NOW, is_split=False).inspect([], mode)
    assert database.health is Health.HEALTHY
    assert [one.health for one in counter] == told
    if mode is LimitsMode.DEGRADED:
        assert (counter[0].since, counter[0].works) == (NOW, COUNTED)


def test_a_server_that_may_not_take_new_runs_says_that_the_rest_works() -> None:
    moved = PartTrouble(NEW_RUNS, NOW, "They live elsewhere.", "new runs are not accepted")
    _, part = HealthService(lambda: NOW, is_split=False).inspect([moved], LimitsMode.TABLE)
    assert (part.health, part.works) == (Health.DEGRADED, NO_NEW_RUNS)


def test_what_is_unreachable_bears_the_id_of_that_look() -> None:
    one = HealthOut(part="run store", health="Unreachable", since=NOW, correlation_id="01HF449Q")
    html = health_html([one])
    assert 'data-copy="01HF449Q"' in html
    assert "Unreachable" in html
    assert "Run store" in html
