"""The projects page: three ways in, cards that follow the feed, hostile names."""

from __future__ import annotations

from html import escape
from pathlib import Path

from nicegui.testing.user import User

from app.api.schemas import NewProject, ProjectOut
from tests.pages.conftest import House, html_of, until
from tests.repositories import make_origin

HOSTILE = '";alert(1)//<img src=x onerror=alert(1)>'


async def add(house: House, user: User, folder: Path, name: str) -> ProjectOut:
    """A ready project of its own repository."""
    origin = make_origin(folder / f"origin{len(list(folder.iterdir()))}")
    api = house.api_of(user)
    project = await api.add_project(
        NewProject(name=name, origin=str(origin), agent="script", agent_command=["true"])
    )
    for _ in range(1000):
        project = await api.project(project.id)
        if project.state == "ready":
            break
    return project


def cards(user: User) -> list[str]:
    """The project ids of the cards, from the first to the last."""
    found = user.find(marker="project-card").elements
    slots = {id(slot): slot for card in found if (slot := card.parent_slot)}
    shown = [child for slot in slots.values() for child in slot.children if child in found]
    return [card.props["data-project"] for card in shown]


async def test_an_empty_runyard_offers_three_ways_in(user: User) -> None:
    await user.open("/")
    await user.should_see(marker="demo-project")
    await user.should_see(marker="add-project")
    await user.should_see("Open the guide")
    await user.should_not_see(marker="project-card")


async def test_the_demo_project_is_one_click_away(house: House, user: User) -> None:
    await user.open("/")
    user.find(marker="demo-project").click()
    await user.should_see(marker="project-card")
    (project,) = await house.api_of(user).projects()
    assert project.name == "demo"


async def test_a_hostile_name_is_text_on_every_page(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add(house, user, tmp_path, HOSTILE)
    await user.open("/")
    await user.should_see(HOSTILE)
    for path in (f"/projects/{project.id}", f"/projects/{project.id}?tab=settings"):
        await user.open(path)
        assert escape(HOSTILE) in html_of(user)
        assert "<img" not in html_of(user)


async def test_a_card_shows_settings_status_and_ready_issues(
    house: House, user: User, tmp_path: Path
) -> None:
    await add(house, user, tmp_path, "shop")
    await user.open("/")
    await user.should_see("main · builtin · script")
    await user.should_see("0 ready")
    assert 'data-testid="card-status"><span>Idle</span>' in html_of(user)


async def test_what_one_person_does_shows_on_the_page_of_another(
    house: House, user: User, tmp_path: Path
) -> None:
    first = await add(house, user, tmp_path, "b first")
    await user.open("/")
    kept = user.find(marker="project-card").elements.pop()
    other = await house.sign_in()
    second = await add(house, other, tmp_path, "a second")
    await until(lambda: cards(user) == [second.id, first.id])
    await house.api_of(other).archive_project(second.id)
    await until(lambda: cards(user) == [first.id])
    assert user.find(marker="project-card").elements == {kept}, "the card was made anew"


async def test_archived_projects_are_behind_the_chip(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add(house, user, tmp_path, "shop")
    await house.api_of(user).archive_project(project.id)
    await user.open("/")
    await user.should_not_see(marker="project-card")
    user.find("Show archived").click()
    assert cards(user) == [project.id]
    await user.should_see("Archived")
    await user.should_not_see(marker="new-run")


async def test_archiving_wants_to_be_pressed_twice(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add(house, user, tmp_path, "shop")
    await user.open("/")
    user.find(marker="card-menu").click()
    user.find("Archive").click()
    await user.should_see("Press again to archive")
    assert (await house.api_of(user).project(project.id)).archived_at is None
    user.find("Press again to archive").click()
    await until(lambda: not _sees(user, "project-card"))
    await user.should_see("Archived. Its history can still be read.")
    assert (await house.api_of(user).project(project.id)).archived_at is not None


def _sees(user: User, marker: str) -> bool:
    try:
        return bool(user.find(marker=marker).elements)
    except AssertionError:
        return False


async def test_new_run_goes_straight_to_the_only_project(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add(house, user, tmp_path, "shop")
    await user.open("/")
    user.find(marker="new-run-anywhere").click()
    await until(lambda: user.back_history[-1] == f"/projects/{project.id}/run")


async def test_new_run_asks_which_project_where_there_are_several(
    house: House, user: User, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        await add(house, user, tmp_path, name)
    await user.open("/")
    user.find(marker="new-run-anywhere").click()
    await user.should_see(marker="run-in")
    assert len(user.find(marker="run-in").elements) == 2
