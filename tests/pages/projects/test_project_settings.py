"""A project's settings page: edited, refused, updated live, archived."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nicegui import ui
from nicegui.testing.user import User

from app.api.schemas import NewProject, ProjectChange, ProjectOut
from tests.builders.repositories import make_origin
from tests.pages.conftest import House, html_of, until
from tests.pages.projects.conftest import open_settings


def only(person: User, marker: str) -> Any:
    (element,) = person.find(marker=marker).elements
    return element


def shown(person: User, name: str) -> str:
    return str(only(person, f"setting-{name}").value)


def put(person: User, name: str, words: str) -> None:
    person.find(marker=f"setting-{name}").clear().type(words)


def errors(person: User) -> str:
    return "\n".join(line for line in html_of(person).splitlines() if "field-error" in line)


async def test_what_is_saved_is_the_projects_and_every_page_shows_it(
    house: House, user: User, project: ProjectOut
) -> None:
    other = await house.sign_in()
    await open_settings(user, project)
    await other.open("/")
    save = only(user, "save-settings")
    assert not save.enabled, "there is nothing to save"
    put(user, "name", "till")
    put(user, "budget_seconds", "90")
    put(user, "prompt", "Do it\nwell")
    await user.should_see("3 changes not saved")
    assert save.enabled
    user.find(marker="save-settings").click()
    await user.should_see("Saved.")
    now = await house.api_of(user).project(project.id)
    assert (now.name, now.budget_seconds, now.prompt) == ("till", 5400, "Do it\nwell")
    assert shown(user, "budget_seconds") == "1:30:00"
    assert (save.enabled, only(user, "discard-settings").enabled) == (False, False)
    await until(
        lambda: [c for c in other.find(marker="project-card").elements if c.props["name"] == "till"]
    )


async def test_what_is_wrong_stands_at_its_field_and_nothing_typed_is_lost(
    house: House, user: User, project: ProjectOut, tmp_path: Path
) -> None:
    api = house.api_of(user)
    taken = make_origin(tmp_path / "other", bare=True)
    await api.add_project(NewProject(name="taken", origin=str(taken), agent="claude"))
    await open_settings(user, project)
    put(user, "max_concurrency", "101")
    put(user, "name", "taken")
    user.find(marker="save-settings").click()
    await until(lambda: "Must be 100 or less." in errors(user))
    put(user, "max_concurrency", "2")
    user.find(marker="save-settings").click()
    await until(lambda: "Name already in use" in errors(user))
    assert "Must be" not in errors(user)
    await until(lambda: only(user, "save-settings").enabled)
    assert (shown(user, "name"), shown(user, "max_concurrency")) == ("taken", "2")
    assert (await api.project(project.id)).max_concurrency == 3, "nothing of it was saved"
    put(user, "name", "shop")
    put(user, "base_branch", "nowhere")
    user.find(marker="save-settings").click()
    await until(lambda: "The repository has no branch nowhere." in errors(user))
    user.find(marker="discard-settings").click()
    assert (shown(user, "base_branch"), shown(user, "max_concurrency")) == ("main", "3")
    assert errors(user) == ""


async def test_all_that_is_wrong_is_said_at_once_each_at_its_field(
    house: House, user: User, project: ProjectOut
) -> None:
    await open_settings(user, project)
    put(user, "max_concurrency", "0")
    put(user, "base_branch", "nonsuch")
    put(user, "branch_pattern", "x y")
    user.find(marker="save-settings").click()
    await until(lambda: "The repository has no branch nonsuch." in errors(user))
    assert "Must be 1 or more." in errors(user)
    assert errors(user).count(".") >= 3, "the pattern is told, too"


async def test_a_change_of_somebody_else_shows_but_never_over_what_is_typed(
    house: House, user: User, project: ProjectOut
) -> None:
    other = await house.sign_in()
    await open_settings(user, project)
    put(user, "prompt", "mine")
    change = ProjectChange(prompt="<b>theirs</b>", max_concurrency=9)
    await house.api_of(other).change_project(project.id, change)
    await until(lambda: shown(user, "max_concurrency") == "9")
    await user.should_see("Someone else has changed: Prompt.")
    assert shown(user, "prompt") == "mine"
    assert "Changed by someone else to: " in html_of(user)
    assert "&lt;b&gt;theirs" in html_of(user)
    user.find(marker="take-theirs").click()
    assert shown(user, "prompt") == "<b>theirs</b>"
    await user.should_not_see(marker="take-theirs")
    assert not only(user, "save-settings").enabled


async def test_mine_replaces_theirs_by_save_and_enter_saves(
    house: House, user: User, project: ProjectOut
) -> None:
    await open_settings(user, project)
    put(user, "name", "mine")
    await house.api_of(user).change_project(project.id, ProjectChange(name="theirs", prompt="p"))
    await user.should_see("Someone else has changed: Name.")
    user.find(marker="setting-name").trigger("keydown.enter")
    await user.should_see("Saved.")
    now = await house.api_of(user).project(project.id)
    assert (now.name, now.prompt) == ("mine", "p")
    await user.should_not_see(marker="take-theirs")


async def test_the_command_stands_there_for_the_script_agent_only(
    house: House, user: User, project: ProjectOut
) -> None:
    change = ProjectChange(agent="codex", agent_command=None)
    await house.api_of(user).change_project(project.id, change)
    await open_settings(user, project)
    await user.should_not_see(marker="setting-agent_command")
    put(user, "agent", "script")
    await user.should_see("Command of the script agent")
    put(user, "agent", "codex")
    await user.should_not_see(marker="setting-agent_command")


async def test_an_archived_project_is_only_read(
    house: House, user: User, project: ProjectOut
) -> None:
    await open_settings(user, project)
    user.find(marker="archive-project").click()
    await user.should_see("Press again to archive")
    user.find(marker="archive-project").click()
    await user.should_see("Archived. Its history can still be read.")
    await user.should_not_see(marker="save-settings")
    assert "its settings can be read, not changed" in html_of(user)
    assert "<dt>Base branch</dt>" in html_of(user)
    assert (await house.api_of(user).project(project.id)).archived_at is not None


async def test_an_archived_project_is_taken_back_by_one_press(
    house: House, user: User, project: ProjectOut
) -> None:
    await house.api_of(user).archive_project(project.id)
    await open_settings(user, project)
    user.find(marker="unarchive-project").click()
    await user.should_see(f"{project.name} is back. Auto is off.")
    await user.should_see(marker="save-settings")
    assert (await house.api_of(user).project(project.id)).archived_at is None


async def test_a_setting_that_cannot_be_empty_is_refused_by_the_api_in_the_same_words(
    house: House, user: User, project: ProjectOut
) -> None:
    path = f"/api/v1/projects/{project.id}"
    headers = {"Origin": house.address, "Sec-Fetch-Site": "same-origin"}
    answer = await user.http_client.patch(path, json={"agent": None}, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"field": "agent", "message": "This setting cannot be empty."}
    ]
    await open_settings(user, project)
    user.find(marker="setting-agent").clear()
    user.find(marker="save-settings").click()
    await until(lambda: "This setting cannot be empty." in errors(user))
    assert isinstance(only(user, "setting-agent"), ui.input)


# --- repository hooks --------------------------------------------------------------------------


async def test_hooks_of_a_folder_are_switched_on_and_said_to_have_changed(
    house: House, user: User, project: ProjectOut
) -> None:
    await open_settings(user, project)
    field = only(user, "setting-owner_hooks")
    assert field.value == "no"
    field.set_value("yes")
    user.find(marker="save-settings").click()
    await until(lambda: house.plane.ledgers.projects.find(project.id).owner_hooks is not None)
    await user.should_see("Saved.")
    trusted = house.plane.ledgers.projects.find(project.id).owner_hooks
    house.plane.ledgers.projects.set_changed_hooks(project.id, trusted)
    await until(lambda: shown(user, "owner_hooks") == "no")
    await until(lambda: "have changed since they were switched on" in html_of(user))
    only(user, "setting-owner_hooks").set_value("yes")
    user.find(marker="save-settings").click()
    await until(lambda: house.plane.ledgers.projects.find(project.id).owner_hooks == trusted)
    await until(lambda: "have changed since they were switched on" not in html_of(user))


async def test_only_a_folder_has_hooks_to_switch_on(
    house: House, user: User, project: ProjectOut
) -> None:
    house.plane.ledgers.projects.change(project.id, origin="https://git.example.test/shop.git")
    await open_settings(user, project)
    await user.should_see(marker="setting-name")
    await user.should_not_see(marker="setting-owner_hooks")
