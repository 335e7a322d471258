"""The inbox page: what waits for a person, its main actions, and the line since the last visit."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from nicegui.testing.user import User
from nicegui.testing.user_interaction import UserInteraction

from app.domain.words import Status
from app.services.rows import DatabaseSilent
from tests.builders.pushes import write_trusted_hook
from tests.builders.run_scenes import DELIVERS, DIES, add_project, start, until_status
from tests.pages.conftest import House, html_of, until

# every run writes its own words into the same file
CONFLICTS = """
date +%s%N > shared.txt
git add .
git -c user.name=a -c user.email=a@b.test commit -qm Fix
"""


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
    assert "To review" in html_of(user)
    # the preview beside the list says what was done, and offers the same
    await until(lambda: "fixed.txt" in html_of(user))
    other = await house.sign_in()
    await other.open("/")
    await other.should_see(marker="inbox-item")
    user.find(marker="inbox-action").click()
    await user.should_see("Merge into main?")
    user.find(marker="merge-confirm").click()
    await until(lambda: "All clear" in html_of(user))
    await until(lambda: "All clear" in html_of(other))
    assert house.plane.services.changes.find(project.id, 1).state == "merged"


async def test_what_comes_in_leaves_the_rows_and_the_open_report_as_they_are(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DELIVERS)
    run = await start(house, user, project, "one")
    await until_status(house, run.id, Status.SUCCEEDED)
    await user.open("/")
    await user.should_see(marker="inbox-item")
    (row,) = user.find(marker="inbox-item").elements
    (report,) = user.find(marker="night-report").elements
    again = await start(house, user, project, "two", task="Once more")
    await until_status(house, again.id, Status.SUCCEEDED)
    await until(lambda: len(user.find(marker="inbox-item").elements) == 2)
    assert row in user.find(marker="inbox-item").elements
    assert user.find(marker="night-report").elements == {report}
    await until(lambda: '<b class="">2</b> delivered' in html_of(user))


async def test_two_people_decide_on_one_change_and_the_second_is_told(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DELIVERS)
    run = await start(house, user, project, "one")
    await until_status(house, run.id, Status.SUCCEEDED)
    other = await house.sign_in()
    for one in (user, other):
        await one.open("/")
        await one.should_see(marker="inbox-item")
        one.find(marker="inbox-action").click()
        await one.should_see("Merge into main?")
    user.find(marker="merge-confirm").click()
    await until(lambda: "All clear" in html_of(user))
    await until(lambda: "All clear" in html_of(other))
    # the dialog of the other is still open
    other.find(marker="merge-confirm").click()
    await until(lambda: "This change request is already merged." in html_of(other))


async def test_picked_changes_are_merged_to_the_first_that_conflicts(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, CONFLICTS)
    for name in ("one", "two", "three"):
        run = await start(house, user, project, name, task=f"Write {name}")
        await until_status(house, run.id, Status.SUCCEEDED)
    await user.open("/")
    await until(lambda: len(user.find(marker="inbox-item").elements) == 3)
    for box in user.find(marker="inbox-pick").elements:
        UserInteraction(user, {box}, None).click()
    await until(lambda: "3 selected" in html_of(user))
    user.find(marker="bulk-merge").click()
    said = "Stopped at “Write two”: conflicts in shared.txt. 1 merged, 2 left."
    await until(lambda: said in html_of(user))
    assert [kind for kind, _ in listed(user)] == ["change", "change"]


async def test_what_one_store_cannot_tell_leaves_the_rest_of_the_page(
    house: House, user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_project(house, user, tmp_path, DIES)

    def away(*_: object) -> None:
        raise DatabaseSilent("control store")

    with monkeypatch.context() as patched:
        patched.setattr(house.plane.services.inbox, "all", away)
        patched.setattr(house.plane.services.reports, "since", away)
        await house.stop_writing("The database does not answer. Agents keep running.")
        await user.open("/")
        html = html_of(user)
        assert "The inbox could not be read." in html
        assert "What ended since your last visit could not be read." in html
        assert "The database does not answer." in html
        await user.should_see(marker="project-card")
        assert "All clear" not in html
    house.resume_writing()
    await until(lambda: "All clear" in html_of(user))
    assert "The inbox could not be read." not in html_of(user)


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
    line = html.split("<b>Since")[1].split("</div>")[0].split("\n")[0]
    assert ':</b> <span><b class="cs">1</b> failed</span>' in line
    assert "delivered" not in line
    assert "<td>" in html
    await user.should_see(marker="night-report-toggle")


async def test_without_projects_the_inbox_shows_three_ways_in(user: User) -> None:
    await user.open("/")
    assert "Welcome to Runyard" in html_of(user)
    assert "All clear" not in html_of(user)


async def test_a_refused_push_is_pushed_again_from_the_inbox(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DELIVERS)
    refuses = "echo 'main is protected here' >&2; exit 1"
    hook = write_trusted_hook(house.plane, project, "pre-receive", refuses)
    run = await start(house, user, project, "one")
    await until_status(house, run.id, Status.DIED)
    await user.open("/")
    await user.should_see(marker="inbox-action")
    assert listed(user) == [("push_refused", f"push_refused:{run.id}")]
    [action] = cast(Any, user.find(marker="inbox-action").elements)
    assert action.text == "Push again"
    hook.unlink()
    user.find(marker="inbox-action").click()
    await user.should_see(marker="inbox-pick")
    assert listed(user) == [("change", f"change:{project.id}:1")]


async def test_the_guide_draws_the_loop_and_leads_to_the_start(
    house: House, user: User, tmp_path: Path
) -> None:
    await user.open("/guide")
    (start_here,) = user.find(marker="start-here").elements
    assert start_here.props["href"] == "/projects/add"
    await add_project(house, user, tmp_path, DIES)
    await user.open("/guide")
    (start_here,) = user.find(marker="start-here").elements
    assert start_here.props["href"] == "/projects"
