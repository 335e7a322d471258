"""What is new in the inbox: a badge on every page, until its items were read."""

from __future__ import annotations

from pathlib import Path

from nicegui.testing.user import User

from app.domain.words import Status
from tests.builders.run_scenes import DELIVERS, DIES, add_project, start, until_status
from tests.pages.conftest import House, html_of, until


def pick(user: User, item_id: str) -> None:
    """Select a row, as the browser tells it."""
    (side,) = user.find(marker="inbox-list").elements
    [heard] = [one for one in side._event_listeners.values() if one.type == "picked"]
    side._handle_event({"listener_id": heard.id, "args": {"detail": item_id}})


async def test_an_item_is_unread_on_every_page_until_its_row_was_looked_at(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DELIVERS)
    other = await house.sign_in()
    await other.open("/projects")
    await user.open("/")
    for number in (1, 2):
        run = await start(house, user, project, f"task-{number}")
        await until_status(house, run.id, Status.SUCCEEDED)
    await until(lambda: "2 unread" in html_of(user))
    await until(lambda: ", 2 unread" in html_of(other))
    pick(user, f"change:{project.id}:1")
    await until(lambda: "1 unread" in html_of(user))
    await until(lambda: ", 1 unread" in html_of(other))
    rows = user.find(marker="inbox-item").elements
    assert {one.props["data-id"]: "unread" in one.classes for one in rows} == {
        f"change:{project.id}:1": False,
        f"change:{project.id}:2": True,
    }
    user.find(marker="read-all").click()
    await until(lambda: "unread" not in html_of(other))
    await user.should_not_see(marker="unread-badge")
    # another visit finds them read
    await user.open("/")
    assert "1 unread" not in html_of(user)


async def test_the_page_of_a_change_marks_its_item_as_read(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DELIVERS)
    for number in (1, 2):
        run = await start(house, user, project, f"task-{number}")
        await until_status(house, run.id, Status.SUCCEEDED)
    other = await house.sign_in()
    await other.open("/projects")
    await until(lambda: ", 2 unread" in html_of(other))
    await user.open(f"/projects/{project.id}/changes/1")
    await until(lambda: ", 1 unread" in html_of(other))
    api = house.api_of(user)
    assert (await api.unread()).ids == [f"change:{project.id}:2"]


async def test_the_pages_of_a_run_and_of_a_project_mark_their_items_as_read(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DELIVERS + DIES)
    run = await start(house, user, project, "one")
    await until_status(house, run.id, Status.DIED)
    house.plane.ledgers.projects.change(project.id, strikes=3)
    api = house.api_of(user)

    async def unread() -> list[str]:
        return (await api.unread()).ids

    kept, paused = f"parked:{run.id}", f"paused:{project.id}"
    await until(lambda: kept in [one.id for one in house.plane.services.inbox.all()])
    assert await unread() == [kept, paused]
    await user.open(f"/runs/{run.id}")
    await until(lambda: ", 1 unread" in html_of(user))
    assert await unread() == [paused]
    await user.open(f"/projects/{project.id}")
    await until(lambda: "unread" not in html_of(user))
    assert await unread() == []


async def test_the_dot_follows_an_item_that_goes_as_another_comes(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DIES)
    shop = await add_project(house, user, tmp_path, DIES, "shop")
    projects = house.plane.ledgers.projects
    projects.change(project.id, strikes=3)
    api = house.api_of(user)
    await api.read_items(None)
    await user.open("/projects")
    assert "unread" not in html_of(user)
    # in one transaction, so that no look at the inbox comes between
    with house.plane.database.transaction() as tx:
        projects.clear_strikes(tx, project.id)
        for _ in range(3):
            projects.add_strike(tx, shop.id, "agent exited with code 3")
    await until(lambda: ", 1 unread" in html_of(user))
