"""A change's page: what it shows, and how it is merged, sent back and closed there."""

from __future__ import annotations

from pathlib import Path

import pytest
from nicegui import ui
from nicegui.testing.user import User

from app.api.schemas import ChangeOut, NewIssue, ProjectOut
from app.domain.words import Status
from tests.builders.run_scenes import add_project, start, until_status
from tests.pages.conftest import House, html_of, until

# commits once more with each run, and says what it did
AGENT = r"""
date +%N >> more.txt
git add more.txt
git -c user.name=a -c user.email=a@b.test commit -qm 'Add a line'
"""


@pytest.fixture
async def project(house: House, user: User, tmp_path: Path) -> ProjectOut:
    """A project with an issue, whose agent adds a line with each run."""
    project = await add_project(house, user, tmp_path, AGENT)
    issue = NewIssue(title="Add <b>lines</b>", labels=["ready-for-agent"])
    await house.api_of(user).add_issue(project.id, issue)
    return project


async def delivered(house: House, user: User, project: ProjectOut) -> ChangeOut:
    """Run the issue, and return the change that it opened."""
    run = await start(house, user, project, "first", issue=1)
    await until_status(house, run.id, Status.SUCCEEDED)
    await until(lambda: house.plane.ledgers.runs.find(run.id).released_at is not None)
    (change,) = await house.api_of(user).changes(project.id)
    return change


async def test_a_change_shows_its_issue_its_run_its_files_and_follows_its_merge(
    house: House, user: User, project: ProjectOut
) -> None:
    change = await delivered(house, user, project)
    plain = await user.http_client.get(change.url)
    assert "&lt;b&gt;lines" in plain.text, "the first content has the title"
    assert "more.txt" in plain.text, "and the files"
    other = await house.sign_in()
    for one in (user, other):
        await one.open(change.url)
        html = html_of(one)
        assert "Add &lt;b&gt;lines&lt;/b&gt;" in html
        assert f"/projects/{project.id}/issues/1" in html
        assert {"In review", "1 of 1"} <= set(
            html.replace("<", "\n<").replace(">", ">\n").split("\n")
        )
    user.find(marker="change-merge").click()
    other.find(marker="change-merge").click()
    await until(lambda: "Issue #1 is closed." in html_of(user))
    user.find(marker="merge-confirm").click()
    await until(lambda: "Merged into main" in html_of(other))
    other.find(marker="merge-confirm").click()
    await until(lambda: "This change request is already merged." in html_of(other))
    for one in (user, other):
        await one.should_not_see(marker="change-merge")


async def test_a_change_is_sent_back_in_words_and_its_page_shows_the_answer(
    house: House, user: User, project: ProjectOut
) -> None:
    change = await delivered(house, user, project)
    await user.open(change.url)
    user.find(marker="change-request").click()
    await until(lambda: "The agent continues on" in html_of(user))
    user.find(marker="request-send").click()
    await until(lambda: "You have no drafts here" in html_of(user))
    user.find(marker="request-text").type("One more line.")
    user.find(marker="request-send").click()
    await until(lambda: "Sent to the agent." in html_of(user))
    await until(lambda: "2 runs" in html_of(user))
    runs = house.plane.ledgers.runs
    newest = (await house.api_of(user).runs(project_id=project.id)).items[0]
    await until_status(house, newest.id, Status.SUCCEEDED)
    await until(lambda: "Follow-up run on the same branch, Succeeded" in html_of(user))
    assert runs.find(newest.id).pr_number == change.number
    assert (await house.api_of(user).change(project.id, change.number)).commits == 2


async def test_a_change_is_closed_with_a_reason_and_its_issue_waits_again(
    house: House, user: User, project: ProjectOut
) -> None:
    change = await delivered(house, user, project)
    await user.open(change.url)
    user.find(marker="change-close").click()
    (issue_after,) = user.find(ui.radio).elements
    await until(lambda: issue_after.options)
    user.find(marker="close-because").type("Lines are not wanted.")
    user.find(marker="close-confirm").click()
    await until(lambda: "Closed without merging: Lines are not wanted." in html_of(user))
    # its branch is deleted after the change is closed
    await until(lambda: house.plane.services.issues.one(project.id, 1).hold is None)
    assert (await house.api_of(user).issue(project.id, 1)).claimable


@pytest.mark.parametrize("tab", ["files", "checks", "runs"])
async def test_each_tab_has_an_address(
    house: House, user: User, project: ProjectOut, tab: str
) -> None:
    change = await delivered(house, user, project)
    await user.open(f"{change.url}?tab={tab}")
    mark, words = {
        "files": ("change-diff", "more.txt"),
        "checks": ("change-checks", "No checks ran on this change."),
        "runs": ("change-header", 'data-testid="change-run"'),
    }[tab]
    await user.should_see(marker=mark)
    await until(lambda: words in html_of(user))


@pytest.mark.parametrize(("number", "status"), [("7", 404), ("x", 422), ("9" * 40, 422)])
async def test_a_change_that_is_not_there_is_a_page_that_says_so(
    user: User, project: ProjectOut, number: str, status: int
) -> None:
    answer = await user.http_client.get(f"/projects/{project.id}/changes/{number}")
    assert answer.status_code == status
    assert "Back to the projects" in answer.text


async def test_the_checks_of_a_change_show_command_end_and_folded_output(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, AGENT)
    checks = [
        {"name": "Tests", "command": ["sh", "-c", "echo '142 <passed>'"]},
        {"name": "Lint", "command": ["sh", "-c", "echo 'F401 unused'; exit 1"], "required": False},
    ]
    house.plane.ledgers.projects.change(project.id, checks=checks)
    run = await start(house, user, project, "first", task="Add a line")
    await until_status(house, run.id, Status.SUCCEEDED)
    (change,) = await house.api_of(user).changes(project.id)
    await user.open(f"{change.url}?tab=checks")
    await until(lambda: "142 &lt;passed&gt;" in html_of(user))
    html = html_of(user)
    assert "sh -c" in html
    assert "exit code 0" in html
    assert "exit code 1" in html
    assert "F401 unused" in html
    assert html.count("<summary>Output</summary>") == 2
    assert "<details open" not in html
    # the inbox names the commands, too
    await user.open("/")
    await until(lambda: "; exit 1" in html_of(user))
