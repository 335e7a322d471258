"""What is new in the inbox: a badge on every page, until its items were read."""

from __future__ import annotations

from pathlib import Path

from nicegui.testing.user import User

from app.domain.words import Status
from tests.builders.run_scenes import DELIVERS, add_project, start, until_status
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
