"""A project's page: issues, changes, the next sweep, and projects that do not exist."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from nicegui import ui
from nicegui.testing.user import User

from app.api.schemas import NewIssue, NewProject, ProjectOut, RunOrder, RunOut
from tests.builders.repositories import commit_file, make_origin, run_git
from tests.pages.conftest import House, html_of, until

COMMITS = [
    "sh",
    "-c",
    "echo more >> more.txt && git add -A &&"
    " git -c user.name=Agent -c user.email=agent@example.test commit -qm More",
]


@pytest.fixture
async def project(house: House, user: User, tmp_path: Path) -> ProjectOut:
    """A project whose agent adds a line and commits."""
    origin = make_origin(tmp_path / "shop", bare=True)
    return await house.api_of(user).add_project(
        NewProject(name="shop", origin=str(origin), agent="script", agent_command=COMMITS)
    )


async def ended(house: House, user: User, run_id: str) -> RunOut:
    """Wait for the end of a run, and return it."""
    find = house.plane.ledgers.runs.find
    await until(lambda: find(run_id).ended_at is not None)
    return await house.api_of(user).run(run_id)


async def test_a_project_that_is_not_there_is_a_404_with_a_way_back(user: User) -> None:
    answer = await user.http_client.get("/projects/proj_nothing")
    assert answer.status_code == 404
    assert "There is nothing with that id." in answer.text


async def test_an_issue_written_elsewhere_appears_without_a_reload(
    house: House, user: User, project: ProjectOut
) -> None:
    await user.open(f"/projects/{project.id}")
    await house.api_of(user).add_issue(project.id, NewIssue(title="From a script"))
    await until(lambda: "From a script" in html_of(user))


async def test_every_tab_says_how_much_is_behind_it_and_follows(
    house: House, user: User, project: ProjectOut
) -> None:
    api = house.api_of(user)
    await user.open(f"/projects/{project.id}?tab=settings")
    await until(lambda: {"Issues 0", "Runs 0", "Changes 0"} <= set(html_of(user).split("\n")))
    await api.add_issue(project.id, NewIssue(title="One"))
    await api.start_run(RunOrder(project_id=project.id), str(uuid.uuid4()))
    await until(lambda: {"Issues 1", "Runs 1", "Changes 1"} <= set(html_of(user).split("\n")))


async def test_a_delivered_change_can_be_merged_from_its_row(
    house: House, user: User, project: ProjectOut
) -> None:
    api = house.api_of(user)
    created = await api.start_run(RunOrder(project_id=project.id), str(uuid.uuid4()))
    run = await ended(house, user, created.run.id)
    assert run.status == "succeeded", run.because
    await user.open(f"/projects/{project.id}?tab=changes")
    await user.should_see(marker="change-row")
    user.find(marker="merge-change").click()
    await until(lambda: "Merge into main?" in html_of(user))
    user.find(marker="merge-confirm").click()
    await until(lambda: "merged" in html_of(user))
    (change,) = await api.changes(project.id)
    assert change.state == "merged"
    await user.open(f"/projects/{project.id}?tab=runs")
    assert "Succeeded" in html_of(user)


async def test_a_merge_that_collides_names_the_files_on_the_page(
    house: House, user: User, project: ProjectOut, tmp_path: Path
) -> None:
    api = house.api_of(user)
    created = await api.start_run(RunOrder(project_id=project.id), str(uuid.uuid4()))
    await ended(house, user, created.run.id)
    desk = tmp_path / "desk"
    run_git(tmp_path, "clone", "-q", project.origin, str(desk))
    commit_file(desk, "more.txt", "mine\n")
    run_git(desk, "push", "-q", "origin", "main")
    await user.open(f"/projects/{project.id}?tab=changes")
    await user.should_see(marker="change-row")
    user.find(marker="merge-change").click()
    await until(lambda: "Merge into main?" in html_of(user))
    user.find(marker="merge-confirm").click()
    await user.should_see("Merge conflict in more.txt. Nothing was changed.")
    (change,) = await api.changes(project.id)
    assert change.state == "open"


async def test_the_next_sweep_is_told_and_follows_what_anybody_does(
    house: House, user: User, project: ProjectOut
) -> None:
    api = house.api_of(user)
    for number in (1, 2):
        issue = NewIssue(title=f"Do {number}", labels=["ready-for-agent"])
        await api.add_issue(project.id, issue)
    await until(lambda: house.plane.ledgers.projects.find(project.id).state != "cloning")
    await user.open(f"/projects/{project.id}")
    await until(lambda: "Nothing starts: auto runs are off" in html_of(user))
    assert "<li>#1: auto runs are off</li>" in html_of(user)
    user.find(marker="project-controls").trigger("press", "auto-toggle")
    await until(lambda: [run for run in house.plane.ledgers.runs.open_runs() if run.issue == 1])
    await until(lambda: "Nothing starts: an auto run is under way" in html_of(user))


async def test_an_armed_button_is_disarmed_by_escape(user: User) -> None:
    @ui.page("/confirm")
    def confirm() -> None:
        from app.pages.components.buttons import ConfirmButton

        async def act() -> None:
            raise AssertionError("it was pressed once")

        ConfirmButton("Discard", "Sure?", act, mark="confirm")

    await user.open("/confirm")
    user.find(marker="confirm").click()
    await user.should_see("Sure?")
    user.find(marker="confirm").trigger("keydown.esc")
    await user.should_see("Discard")
    user.find(marker="confirm").click()
    await user.should_see("Sure?")
