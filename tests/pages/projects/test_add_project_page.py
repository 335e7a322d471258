"""The form that adds a project: refusals at their fields, input kept."""

from __future__ import annotations

from pathlib import Path

from nicegui import ui
from nicegui.testing.user import User

from app.api.schemas import NewProject
from tests.builders.repositories import make_origin, run_git
from tests.pages.conftest import House, until


async def test_a_folder_becomes_a_project_named_after_it(
    house: House, user: User, tmp_path: Path
) -> None:
    origin = make_origin(tmp_path / "shop")
    await user.open("/projects/add")
    user.find(marker="project-origin").type(str(origin))
    user.find(marker="project-agent").type("script")
    user.find(marker="project-command").type("true")
    user.find(marker="project-submit").click()
    await until(lambda: user.back_history[-1].startswith("/projects/proj_"))
    (project,) = await house.api_of(user).projects()
    assert (project.name, project.origin) == ("shop", str(origin))
    assert project.agent_command == ["true"]


async def test_a_name_that_is_taken_is_said_at_the_name(
    house: House, user: User, tmp_path: Path
) -> None:
    origin = make_origin(tmp_path / "shop")
    await house.api_of(user).add_project(
        NewProject(name="shop", origin=str(origin), agent="claude")
    )
    await user.open("/projects/add")
    user.find(marker="project-origin").type(str(origin))
    user.find(marker="project-submit").click()
    await user.should_see("Name already in use")
    control = user.find(kind=ui.input, marker="project-name").elements.pop()
    assert control.props["aria-invalid"] == "true"
    assert control.value == ""
    assert control.props["placeholder"] == "shop"
    user.find(marker="project-name").type("shop2")
    await user.should_not_see("Name already in use")


async def test_a_name_of_ones_own_is_not_replaced_by_a_suggestion(user: User) -> None:
    await user.open("/projects/add")
    user.find(marker="project-name").type("mine")
    user.find(marker="project-origin").type("/srv/shop")
    assert user.find(kind=ui.input, marker="project-name").elements.pop().value == "mine"


async def test_a_folder_without_a_repository_is_refused_and_nothing_is_stored(
    house: House, user: User, tmp_path: Path
) -> None:
    await user.open("/projects/add")
    user.find(marker="project-origin").type(str(tmp_path))
    user.find(marker="project-submit").click()
    await until(lambda: not _is_busy(user))
    assert await house.api_of(user).projects() == []
    assert user.find(kind=ui.input, marker="project-origin").elements.pop().value == str(tmp_path)


def _is_busy(user: User) -> bool:
    return not user.find(kind=ui.button, marker="project-submit").elements.pop().enabled


async def test_one_press_takes_the_remote_of_a_folder_instead_of_the_folder(
    user: User, tmp_path: Path
) -> None:
    folder = make_origin(tmp_path / "shop")
    run_git(folder, "remote", "add", "origin", "git@example.org:me/store.git")
    await user.open("/projects/add")
    origin = user.find(kind=ui.input, marker="project-origin")
    origin.type(str(folder))
    await user.should_see("Use its remote: git@example.org:me/store.git")
    user.find(marker="use-remote").click()
    await user.should_not_see("Use its remote: git@example.org:me/store.git")
    assert origin.elements.pop().value == "git@example.org:me/store.git"
    name = user.find(kind=ui.input, marker="project-name").elements.pop()
    assert name.props["placeholder"] == "store"
