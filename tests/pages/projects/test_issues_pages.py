"""The tracker's pages: the list of issues with its filters, and an issue."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from nicegui import ui
from nicegui.testing.user import User
from nicegui.testing.user_interaction import UserInteraction

from app.api.schemas import IssueOut, NewIssue, NewProject, ProjectOut
from tests.builders.repositories import make_origin
from tests.builders.run_scenes import DIES, add_project
from tests.pages.conftest import PATIENCE_SECONDS, House, html_of, until

READY = ["ready-for-agent"]


@pytest.fixture
async def project(house: House, user: User, tmp_path: Path) -> ProjectOut:
    """A cloned project without issues."""
    origin = make_origin(tmp_path / "shop", bare=True)
    api = house.api_of(user)
    made = await api.add_project(
        NewProject(name="shop", origin=str(origin), agent="script", agent_command=["true"])
    )
    assert await asyncio.to_thread(house.plane.workers.finish, PATIENCE_SECONDS)
    return await api.project(made.id)


async def write(house: House, user: User, project: ProjectOut, title: str, **more: object) -> str:
    """Create an issue and return the path of its page."""
    new = NewIssue.model_validate({"title": title, **more})
    issue = await house.api_of(user).add_issue(project.id, new)
    return f"/projects/{project.id}/issues/{issue.number}"


async def stands(house: House, user: User, project: ProjectOut, number: int = 1) -> IssueOut:
    """Return the issue as stored by the server."""
    return await house.api_of(user).issue(project.id, number)


# --- the list --------------------------------------------------------------------------------


async def test_an_issue_is_written_and_listed_by_its_state(
    house: House, user: User, project: ProjectOut
) -> None:
    await user.open(f"/projects/{project.id}/issues")
    await user.should_see("No issues yet")
    user.find(marker="new-issue").click()
    user.find(marker="issue-submit").click()
    await user.should_see("An issue needs a title.")
    user.find(marker="issue-title").type("Greet <b>people</b> \u202e")
    [priority] = user.find(marker="issue-priority").elements
    assert isinstance(priority, ui.select)
    priority.set_value("high")
    user.find(marker="issue-submit").click()
    await user.should_see(marker="issue-row")
    assert 'Greet &lt;b&gt;people&lt;/b&gt; <i class="esc">\\u202e</i>' in html_of(user)
    assert "High priority" in html_of(user)
    await house.api_of(user).change_issue(project.id, 1, state="closed")
    await user.should_not_see(marker="issue-row")
    await user.open(f"/projects/{project.id}/issues?state=done")
    await user.should_see(marker="issue-row")


async def test_the_issues_of_all_projects_appear_without_a_reload(
    house: House, user: User, tmp_path: Path
) -> None:
    await user.open("/issues")
    await user.should_see("No projects yet")
    shop = await add_project(house, user, tmp_path, DIES, "<b>shop</b>")
    await user.should_see("No issues yet")
    issue = NewIssue(title="Repair it", labels=READY)
    await house.api_of(user).add_issue(shop.id, issue)
    await until(lambda: "Repair it" in html_of(user))
    assert "&lt;b&gt;shop&lt;/b&gt;" in html_of(user)
    [row] = user.find(marker="issue-row").elements
    await house.api_of(user).change_issue(shop.id, 1, title="Renamed")
    await until(lambda: "Renamed" in html_of(user))
    assert user.find(marker="issue-row").elements == {row}, "the row was drawn anew"
    await house.api_of(user).change_issue(shop.id, 1, labels=[])
    await until(lambda: "Not marked ready for an agent" in html_of(user))


async def test_issues_that_another_tracker_keeps_are_not_said_to_be_none(
    house: House, user: User, tmp_path: Path
) -> None:
    away = await add_project(house, user, tmp_path, DIES, "away")
    house.plane.ledgers.projects.change(away.id, tracker="forgejo")
    await user.open("/issues")
    await user.should_see("Runyard does not read that tracker yet")
    await user.open(f"/projects/{away.id}/issues")
    await user.should_see("Runyard does not read that tracker yet")


async def test_a_long_list_is_shown_in_parts(house: House, user: User, project: ProjectOut) -> None:
    for number in range(22):
        await write(house, user, project, f"Issue {number}", labels=READY)
    await user.open(f"/projects/{project.id}/issues")
    await until(lambda: len(user.find(marker="issue-row").elements) == 20)
    user.find("Show all 22").click()
    await until(lambda: len(user.find(marker="issue-row").elements) == 22)


async def test_the_tracker_of_an_archived_project_is_only_read(
    house: House, user: User, project: ProjectOut
) -> None:
    path = await write(house, user, project, "Old", body="Old text", labels=READY)
    await house.api_of(user).comment(project.id, 1, "Old words")
    await user.open(f"/projects/{project.id}/issues")
    await until(lambda: "issue-run" in html_of(user))
    await house.api_of(user).archive_project(project.id)
    await until(lambda: "Project is archived" in html_of(user))
    assert "issue-run" not in html_of(user)
    await user.should_not_see(marker="new-issue")
    await user.open(path)
    await until(lambda: "Old words" in html_of(user))
    for mark in ("edit-issue", "turn-issue", "start-issue", "comment-submit", "add-label"):
        await user.should_not_see(marker=mark)


async def test_an_issue_says_which_of_its_blockers_does_not_exist(
    house: House, user: User, project: ProjectOut
) -> None:
    await user.open(await write(house, user, project, "Waits", body="Blocked by #999"))
    await until(lambda: 'unknown-blockers">#999 does not exist<' in html_of(user))


# --- an issue's page -------------------------------------------------------------------------


async def test_an_issue_is_read_as_markdown_and_nothing_in_it_is_hidden(
    house: House, user: User, project: ProjectOut
) -> None:
    body = "## Why\n\n- *one*\n\n<!-- hidden -->\n<img src=x onerror=alert(1)>\nend\u202e\u3000"
    path = await write(house, user, project, "Read me", body=body, labels=READY)
    await user.open(path)
    await until(lambda: "<h2>Why</h2>" in html_of(user))
    html = html_of(user)
    assert "<em>one</em>" in html
    assert "&lt;!-- hidden --&gt;" in html
    assert "<img" not in html
    assert "end\\u202e\\u3000" in html
    assert "Ready" in html


async def test_an_issue_leads_to_its_runs(house: House, user: User, project: ProjectOut) -> None:
    new = NewIssue(title="Round tax")
    await house.api_of(user).add_issue(project.id, new)
    await user.open(f"/projects/{project.id}/issues/1")
    assert f'href="/runs?project={project.id}&amp;issue=1"' in html_of(user)


async def test_an_issue_that_is_not_there_is_a_page_that_says_so(
    user: User, project: ProjectOut
) -> None:
    for number, status in (("7", 404), ("x", 422), ("9" * 40, 422)):
        answer = await user.http_client.get(f"/projects/{project.id}/issues/{number}")
        assert answer.status_code == status
        assert "Back to the projects" in answer.text


async def test_comments_are_said_and_those_of_others_leave_a_half_typed_one_alone(
    house: House, user: User, project: ProjectOut
) -> None:
    await user.open(await write(house, user, project, "Talk"))
    await until(lambda: "No comments yet" in html_of(user))
    user.find(marker="comment-submit").click()
    await user.should_see("A comment needs some words.")
    user.find(marker="comment-box").type("Mine is **half")
    await house.api_of(user).comment(project.id, 1, "<i>theirs</i>")
    await until(lambda: "&lt;i&gt;theirs&lt;/i&gt;" in html_of(user))
    user.find(marker="comment-box").type(" done**")
    user.find(marker="comment-submit").click()
    await until(lambda: "<strong>half done</strong>" in html_of(user))
    await until(lambda: "Comments 2" in html_of(user))
    html = html_of(user)
    assert html.index("theirs") < html.index("half done")
    assert [one.body for one in await house.api_of(user).comments(project.id, 1)] == [
        *("<i>theirs</i>", "Mine is **half done**"),
    ]


async def test_labels_are_added_and_taken_away_and_anothers_stay(
    house: House, user: User, project: ProjectOut
) -> None:
    await user.open(await write(house, user, project, "Label me", labels=["bug"]))
    await user.should_see("bug")
    user.find(marker="new-label").type("urgent")
    user.find(marker="add-label").click()
    await until(lambda: len(user.find(marker="label").elements) == 2)
    assert (await stands(house, user, project)).labels == ["bug", "urgent"]
    user.find(marker="toggle-ready").click()
    await user.should_see("Mark not ready")
    await house.api_of(user).change_issue(project.id, 1, labels=["urgent", "theirs"])
    await user.should_see("theirs")
    user.find("urgent ×").click()
    await until(lambda: len(user.find(marker="label").elements) == 1)
    assert (await stands(house, user, project)).labels == ["theirs"]


async def test_a_priority_is_chosen_on_the_issues_page_and_anothers_is_shown(
    house: House, user: User, project: ProjectOut
) -> None:
    await write(house, user, project, "Waits its turn")
    await user.open(await write(house, user, project, "Urgent"))
    [field] = user.find(marker="issue-priority").elements
    assert isinstance(field, ui.select)
    assert field.value == "normal"
    field.set_value("high")
    tracker = house.plane.ledgers.tracker
    await until(lambda: [one.priority for one in tracker.issues(project.id)] == ["normal", "high"])
    await house.api_of(user).change_issue(project.id, 2, priority="low")
    await until(lambda: field.value == "low")


async def test_what_blocks_an_issue_is_chosen_and_taken_out_and_its_text_says_it(
    house: House, user: User, project: ProjectOut
) -> None:
    await write(house, user, project, "Show tax", labels=READY)
    path = await write(house, user, project, "Charge tax", body="Do it.", labels=READY)
    await user.open(path)
    await until(lambda: "Ready" in html_of(user))
    user.find(marker="blocked-by-search").type("show")
    await user.should_see(marker="blocked-by-option")
    user.find(marker="blocked-by-option").click()
    await user.should_see(marker="blocked-by-remove")
    assert (await stands(house, user, project, 2)).body == "Do it.\n\nBlocked by #1"
    await until(lambda: "Waiting" in html_of(user))
    user.find(marker="blocked-by-remove").click()
    await user.should_not_see(marker="blocked-by-remove")
    assert (await stands(house, user, project, 2)).body == "Do it."
    user.find(marker="blocked-by-search").type("#999").trigger("keydown.enter.prevent")
    await until(lambda: "#999 does not exist" in html_of(user))


@pytest.mark.parametrize("path", ["/issues", "/projects/{}/issues"])
async def test_a_new_issue_is_blocked_by_those_that_are_chosen_for_it(
    house: House, user: User, project: ProjectOut, path: str
) -> None:
    for title in ("Show tax", "Print codes"):
        await write(house, user, project, title, labels=READY)
    await user.open(path.format(project.id))
    user.find(marker="new-issue").click()
    user.find(marker="issue-title").type("Charge tax")
    user.find(marker="issue-body").type("Do it.")
    user.find(marker="blocked-by-search").type("show")
    user.find(marker="issue-submit").click()
    await until(lambda: "Choose an issue from the list" in html_of(user))
    await user.should_see(marker="blocked-by-option")
    # the list came after the refusal, which stands
    assert "Choose an issue from the list" in html_of(user)
    user.find(marker="blocked-by-option").click()
    await user.should_see(marker="blocked-by-remove")
    user.find(marker="blocked-by-search").type("999").trigger("keydown.enter.prevent")
    user.find(marker="issue-submit").click()
    await until(lambda: "#999 does not exist." in html_of(user))
    _, unknown = sorted(user.find(marker="blocked-by-remove").elements, key=lambda one: one.id)
    UserInteraction(user, {unknown}, None).click()
    user.find(marker="issue-submit").click()
    await until(lambda: "Issue #3 is written." in html_of(user))
    made = await stands(house, user, project, 3)
    assert (made.body, made.hold) == ("Do it.\n\nBlocked by #1", "blocked by #1")
    # the next one begins without
    user.find(marker="new-issue").click()
    await user.should_not_see(marker="blocked-by-remove")


async def test_issues_that_would_wait_for_each_other_are_refused_on_the_page(
    house: House, user: User, project: ProjectOut
) -> None:
    path = await write(house, user, project, "Show tax", labels=READY)
    await write(house, user, project, "Charge tax", body="Blocked by #1", labels=READY)
    await user.open(path)
    user.find(marker="blocked-by-search").type("#2").trigger("keydown.enter.prevent")
    said = "#2 waits for #1 already, so neither would ever start."
    await until(lambda: said in html_of(user))
    assert (await stands(house, user, project)).blocked_by == []


async def test_what_the_agent_will_be_told_is_read_where_it_is_opened(
    house: House, user: User, project: ProjectOut
) -> None:
    await user.open(await write(house, user, project, "Say it", body="Word for <i>word</i>"))
    await until(lambda: re.search(r"\b\d+ words", html_of(user)))
    assert "<pre" not in html_of(user)
    user.find(marker="issue-prompt").trigger("toggle", True)
    await until(lambda: "<pre" in html_of(user))
    assert "Word for &lt;i&gt;word&lt;/i&gt;" in html_of(user)


async def test_a_text_is_edited_and_an_empty_title_is_refused(
    house: House, user: User, project: ProjectOut
) -> None:
    await user.open(await write(house, user, project, "Old title", body="Old text"))
    user.find(marker="edit-issue").click()
    user.find(marker="edit-title").clear()
    user.find(marker="save-issue").click()
    await user.should_see("An issue needs a title.")
    user.find(marker="edit-title").type("New title")
    user.find(marker="save-issue").click()
    await until(lambda: "#1 New title" in html_of(user))
    found = await stands(house, user, project)
    assert (found.title, found.body) == ("New title", "Old text")


@pytest.mark.parametrize(
    ("press", "body"), [("save-mine", "Theirs.Mine."), ("take-theirs", "Theirs, later.")]
)
async def test_of_two_who_edit_the_later_is_told_and_chooses(
    house: House, user: User, project: ProjectOut, press: str, body: str
) -> None:
    await user.open(await write(house, user, project, "Both", body="Theirs."))
    user.find(marker="edit-issue").click()
    user.find(marker="edit-body").type("Mine.")
    await house.api_of(user).change_issue(project.id, 1, body="Theirs, later.")
    user.find(marker="save-issue").click()
    await until(lambda: "Your changes are not saved yet" in html_of(user))
    assert "Theirs, later." in html_of(user)
    assert (await stands(house, user, project)).body == "Theirs, later."
    user.find(marker=press).click()
    if press == "take-theirs":
        user.find(marker="save-issue").click()
    await user.should_see(marker="edit-issue")
    assert (await stands(house, user, project)).body == body


async def test_an_issue_is_closed_and_opened_again_on_its_page(
    house: House, user: User, project: ProjectOut
) -> None:
    await user.open(await write(house, user, project, "Turn me"))
    user.find(marker="turn-issue").click()
    await user.should_see("Open again")
    await user.should_not_see(marker="start-issue")
    assert (await stands(house, user, project)).state == "closed"
    user.find(marker="turn-issue").click()
    await user.should_see(marker="start-issue")


async def test_a_run_of_a_chosen_issue_starts_from_its_page(
    house: House, user: User, project: ProjectOut
) -> None:
    await user.open(await write(house, user, project, "Run me"))
    user.find(marker="start-issue").click()
    await until(lambda: "AFK run started." in html_of(user))
    (run,) = (await house.api_of(user).runs(project_id=project.id)).items
    assert (run.issue, run.work_branch) == (1, "afk/1")
