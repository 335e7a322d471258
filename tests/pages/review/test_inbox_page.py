"""The inbox page: what waits for a person, its main actions, and the line since the last visit."""

from __future__ import annotations

from pathlib import Path

from nicegui.testing.user import User

from app.domain.words import Status
from tests.builders.run_scenes import DELIVERS, DIES, add_project, start, until_status
from tests.pages.conftest import House, html_of, until


def listed(user: User) -> list[tuple[str, str]]:
    """Return kind and id of the items, as the page shows them."""
    found = user.find(marker="inbox-item").elements
    return sorted((one.props["data-kind"], one.props["data-id"]) for one in found)


async def test_a_change_waits_on_every_open_inbox_until_it_is_merged(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DELIVERS)
    await user.open("/")
    await until(lambda: "All clear" in html_of(user))
    run = await start(house, user, project, "one")
    await until_status(house, run.id, Status.SUCCEEDED)
    await user.should_see(marker="inbox-item")
    assert listed(user) == [("change", f"change:{project.id}:1")]
    assert f'href="/projects/{project.id}/changes/1"' in html_of(user)
    assert "To review" in html_of(user)
    other = await house.sign_in()
    await other.open("/")
    await other.should_see(marker="inbox-item")
    user.find(marker="inbox-action").click()
    user.find(marker="inbox-action").click()  # the second press confirms
    await until(lambda: "All clear" in html_of(user))
    await until(lambda: "All clear" in html_of(other))
    assert house.plane.services.changes.find(project.id, 1).state == "merged"


async def test_a_paused_project_is_reset_from_the_inbox(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DIES)
    house.plane.ledgers.projects.change(project.id, strikes=3)
    await user.open("/")
    assert listed(user) == [("paused", f"paused:{project.id}")]
    assert "is paused: 3 failures in a row" in html_of(user)
    user.find(marker="inbox-action").click()
    await until(lambda: "All clear" in html_of(user))
    assert house.plane.ledgers.projects.find(project.id).strikes == 0


async def test_the_line_since_the_last_visit_counts_what_ended(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DIES)
    run = await start(house, user, project, "one")
    await until_status(house, run.id, Status.DIED)
    await user.open("/")
    html = html_of(user)
    assert 'data-testid="night-report-toggle"' in html
    assert "1 failed" in html
    assert "delivered" not in html.split("<table>")[0].split("night-report")[1]


async def test_without_projects_the_inbox_shows_three_ways_in(user: User) -> None:
    await user.open("/")
    assert "Welcome to Runyard" in html_of(user)
    assert "All clear" not in html_of(user)
