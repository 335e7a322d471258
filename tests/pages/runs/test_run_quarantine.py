"""The page of a quarantined run, until a person retries it."""

from __future__ import annotations

from pathlib import Path

import pytest
from nicegui.testing.user import User

from app.records.runs.quarantine_ledger import MOST_TRIES, Subject
from app.services.system.quarantine import of_run
from tests.builders.run_scenes import WAITS, add_project, start, until_status
from tests.pages.conftest import House, html_of, until

SHOWN = "it failed 5 times (ValueError: &lt;b&gt;bad&lt;/b&gt;)"


@pytest.mark.expects_error_log
async def test_a_run_that_is_stuck_is_shown_to_everybody_until_one_tries_again(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, WAITS)
    run = await start(house, user, project, "k1")
    await until_status(house, run.id, "running")
    other = await house.sign_in()
    await user.open(f"/runs/{run.id}")
    await other.open("/")
    assert SHOWN not in html_of(user)
    quarantine = house.plane.services.quarantine
    row = house.plane.ledgers.runs.find(run.id)
    for _ in range(MOST_TRIES):
        quarantine.count(of_run("look", row), ValueError("<b>bad</b>"))
    await until(lambda: SHOWN in html_of(user))
    await until(lambda: waits_in_inbox(other))
    await other.open(f"/runs/{run.id}")
    await until(lambda: SHOWN in html_of(other))
    user.find(marker="try-again").click()
    for person in (user, other):
        await until(lambda person=person: not is_shown(person))
    assert quarantine.held() == []


def is_shown(person: User) -> bool:
    """Return whether the banner is visible."""
    assert person.client is not None
    banners = [
        element
        for element in person.client.elements.values()
        if element.props.get("data-testid") == "stuck-banner"
    ]
    return any(banner.visible for banner in banners)


def waits_in_inbox(person: User) -> bool:
    """Return whether the inbox has an item of what is left to a person."""
    assert person.client is not None
    rows = person.client.elements.values()
    return any(row.props.get("data-kind") == "quarantined" for row in rows)


@pytest.mark.expects_error_log
async def test_what_is_stuck_and_of_no_project_needs_a_person_as_well(
    house: House, user: User, tmp_path: Path
) -> None:
    await add_project(house, user, tmp_path, WAITS)
    other = await house.sign_in()
    await user.open("/")
    await other.open("/settings")
    assert "Left to you" not in html_of(other)
    quarantine = house.plane.services.quarantine
    night = Subject("digest", "2026-03-10", None)
    for _ in range(MOST_TRIES):
        quarantine.count(night, KeyError("<b>bad</b>"))
    await until(lambda: waits_in_inbox(user))
    await until(lambda: "digest.2026-03-10</code>: it failed 5 times" in html_of(other))
    assert "<b>bad</b>" not in html_of(other)
    other.find(marker="try-again").click()
    await until(lambda: "Left to you" not in html_of(other))
    await until(lambda: not waits_in_inbox(user))
    assert quarantine.held() == []
