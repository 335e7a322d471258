"""What the server refuses is told, also where the field that it blames is not drawn for a role."""

from __future__ import annotations

from pathlib import Path

from nicegui.testing.user import User

from app.api.schemas import ProjectChange
from app.domain.people.roles import Role
from app.pages.components.markup import plain_html
from app.pages.projects.forge_fields import WITHOUT_FORGE
from tests.builders.run_scenes import DIES, add_project
from tests.fakes.forges.twin import ForgeTwin
from tests.pages.conftest import House, html_of, until
from tests.pages.people.test_controls import join


async def test_an_operator_is_told_that_the_script_agent_lacks_its_command(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DIES)
    change = ProjectChange(agent="codex", agent_command=None)
    await house.api_of(user).change_project(project.id, change)
    person = await join(house, user, Role.OPERATOR)
    await person.open(f"/projects/{project.id}?tab=settings")
    person.find(marker="setting-agent").clear().type("script")
    person.find(marker="save-settings").click()
    await until(lambda: "banner stop" in html_of(person))


async def test_an_operator_is_told_that_the_forge_of_an_address_has_no_token(
    house: House, user: User, tmp_path: Path
) -> None:
    with ForgeTwin(tmp_path / "forge", "gitea") as twin:
        shop = twin.add_repository("acme/shop")
        person = await join(house, user, Role.OPERATOR)
        await person.open("/projects/add")
        person.find(marker="project-origin").type(shop.clone_url)
        person.find(marker="project-name").type("shop")
        person.find(marker="project-submit").click()
        await until(lambda: plain_html(WITHOUT_FORGE) in html_of(person))
    assert house.plane.services.projects.all() == []
