"""Decisions in the inbox on changes with comments not sent, or with conflicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from nicegui.testing.user import User
from nicegui.testing.user_interaction import UserInteraction

from app.api.schemas import ProjectOut
from app.domain.words import Status
from tests.builders.run_scenes import DELIVERS, DIES, add_project, start, until_status
from tests.pages.conftest import House, html_of, until
from tests.pages.review.test_inbox_page import CONFLICTS

ONE, TWO = "Your 1 line comment was not sent", "Your 2 line comments were not sent"


async def changes_by(
    house: House, user: User, folder: Path, agent: str, *names: str
) -> tuple[ProjectOut, list[int]]:
    """Have runs make changes; return the project and their numbers, oldest first."""
    project = await add_project(house, user, folder, agent)
    for name in names:
        run = await start(house, user, project, name, task=f"Write {name}")
        await until_status(house, run.id, Status.SUCCEEDED)
    found = await house.api_of(user).changes(project.id)
    return project, sorted(one.number for one in found)


async def comment(house: House, user: User, project: ProjectOut, *numbers: int) -> None:
    """Write a comment on each of these changes, and do not send it."""
    for number in numbers:
        await house.api_of(user).comment_on_change(project.id, number, "Why?")


async def test_a_merge_asks_whether_to_drop_comments_that_were_not_sent(
    house: House, user: User, tmp_path: Path
) -> None:
    project, (number,) = await changes_by(house, user, tmp_path, DELIVERS, "one")
    await user.open("/")
    # written after the inbox was opened
    await comment(house, user, project, number)
    user.find(marker="inbox-action").click()
    await until(lambda: ONE in html_of(user))
    user.find(marker="change-request").click()
    await until(lambda: "with this and your 1 line comment." in html_of(user))
    user.find(marker="merge-confirm").click()
    await until(lambda: "All clear" in html_of(user))


async def test_a_bulk_merge_asks_first_where_comments_were_not_sent(
    house: House, user: User, tmp_path: Path
) -> None:
    project, numbers = await changes_by(house, user, tmp_path, CONFLICTS, "one", "two")
    await comment(house, user, project, *numbers)
    await user.open("/")
    await until(lambda: len(user.find(marker="inbox-item").elements) == 2)
    for box in user.find(marker="inbox-pick").elements:
        UserInteraction(user, {box}, None).click()
    await until(lambda: "2 selected" in html_of(user))
    user.find(marker="bulk-merge").click()
    await until(lambda: TWO in html_of(user))
    assert "1 comment not sent" in html_of(user)
    states = [one.state for one in await house.api_of(user).changes(project.id)]
    assert states == ["open", "open"]
    user.find(marker="merge-all-confirm").click()
    await until(lambda: "1 merged, 1 left." in html_of(user))


async def test_all_that_pass_are_listed_with_the_comments_that_a_merge_drops(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, CONFLICTS)
    checks = [{"name": "ok", "command": ["true"]}]
    house.plane.ledgers.projects.change(project.id, checks=checks)
    for name in ("one", "two"):
        run = await start(house, user, project, name, task=f"Write {name}")
        await until_status(house, run.id, Status.SUCCEEDED)
    newest = max(one.number for one in await house.api_of(user).changes(project.id))
    await comment(house, user, project, newest)
    await user.open("/")
    user.find(marker="merge-all").click()
    await until(lambda: ONE in html_of(user))


async def test_the_agent_resolves_conflicts_from_the_preview(
    house: House, user: User, tmp_path: Path
) -> None:
    project, (first, second) = await changes_by(house, user, tmp_path, CONFLICTS, "one", "two")
    await user.open("/")
    await user.should_not_see(marker="resolve-conflicts")
    api = house.api_of(user)
    await api.merge(project.id, first)
    await until(lambda: house.plane.services.changes.find(project.id, second).conflicts)
    await user.should_see(marker="resolve-conflicts")
    await user.should_see(marker="bar-resolve-conflicts")
    # nothing that would be refused can be pressed
    for merge in ("change-merge", "bar-change-merge"):
        await user.should_not_see(marker=merge)
    [action] = cast(Any, user.find(marker="inbox-action").elements)
    assert action.text == "Have the agent resolve it"
    user.find(marker="resolve-conflicts").click()
    await until(lambda: "The agent resolves it." in html_of(user))
    (run,) = (await api.runs(project_id=project.id, trigger="review")).items
    assert run.pr_number == second


async def test_the_heading_of_a_group_stands_there_once(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DIES)
    house.plane.ledgers.projects.change(project.id, strikes=3)
    await user.open("/")
    await until(lambda: "Projects that need attention" in html_of(user))
    lines = html_of(user).split("\n")
    assert sum(one.startswith("Needs attention") for one in lines) == 1


async def test_what_is_typed_about_one_change_is_not_offered_for_another(
    house: House, user: User, tmp_path: Path
) -> None:
    """Both are the first change of their project."""
    for name in ("ledger", "shop"):
        project = await add_project(house, user, tmp_path, DELIVERS, name)
        run = await start(house, user, project, name)
        await until_status(house, run.id, Status.SUCCEEDED)
    await user.open("/")
    await until(lambda: len(user.find(marker="inbox-item").elements) == 2)
    items = [one.id for one in await house.api_of(user).inbox()]
    side = user.find(marker="inbox-list")
    for decision, text in (("change-request", "request-text"), ("change-close", "close-because")):
        side.trigger("picked", {"detail": items[0]})
        user.find(marker=decision).click()
        await user.should_see(marker=text)
        user.find(marker=text).type("For the first only.")
        side.trigger("picked", {"detail": items[1]})
        user.find(marker=decision).click()
        [field] = cast(Any, user.find(marker=text).elements)
        await until(lambda field=field: field.value == "")


# every run writes a file that no other writes
ALONE = """
date > $(date +%s%N).txt
git add .
git -c user.name=a -c user.email=a@b.test commit -qm Fix
"""


async def test_the_row_of_a_change_with_conflicts_asks_the_agent(
    house: House, user: User, tmp_path: Path
) -> None:
    project, (first, second) = await changes_by(house, user, tmp_path, CONFLICTS, "one", "two")
    await user.open("/")
    api = house.api_of(user)
    await api.merge(project.id, first)
    await until(lambda: house.plane.services.changes.find(project.id, second).conflicts)
    await user.should_see(marker="resolve-conflicts")
    user.find(marker="inbox-action").click()
    await until(lambda: "The agent resolves it." in html_of(user))
    (run,) = (await api.runs(project_id=project.id, trigger="review")).items
    assert run.pr_number == second


async def pick_all(user: User, count: int) -> None:
    """Pick every change of the inbox."""
    await until(lambda: len(user.find(marker="inbox-item").elements) == count)
    for box in user.find(marker="inbox-pick").elements:
        UserInteraction(user, {box}, None).click()
    await until(lambda: f"{count} selected" in html_of(user))


async def test_a_bulk_merge_is_undone_from_its_message(
    house: House, user: User, tmp_path: Path
) -> None:
    project, numbers = await changes_by(house, user, tmp_path, ALONE, "one", "two", "three")
    api = house.api_of(user)
    await api.merge(project.id, numbers[0])  # by itself, before the others
    await user.open("/")
    await pick_all(user, 2)
    user.find(marker="bulk-merge").click()
    await until(lambda: "Merged 2 changes." in html_of(user))
    user.find(marker="toast-action").click()
    await until(lambda: "2 changes to review take them back." in html_of(user))
    await user.should_see(marker="inbox-item")
    await until(lambda: len(user.find(marker="inbox-item").elements) == 2)
    found = await api.changes(project.id)
    assert sorted(one.reverts for one in found if one.reverts) == numbers[1:]


async def test_what_was_merged_before_a_conflict_is_undone_from_the_bar(
    house: House, user: User, tmp_path: Path
) -> None:
    project, (first, _) = await changes_by(house, user, tmp_path, CONFLICTS, "one", "two")
    await user.open("/")
    await pick_all(user, 2)
    user.find(marker="bulk-merge").click()
    await until(lambda: "1 merged, 1 left." in html_of(user))
    user.find(marker="bulk-undo").click()
    await until(lambda: "1 change to review takes it back." in html_of(user))
    await user.should_not_see(marker="bulk-undo")
    found = await house.api_of(user).changes(project.id)
    assert [one.reverts for one in found if one.reverts] == [first]
