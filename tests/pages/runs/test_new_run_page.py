"""The new run form against a whole server: fields, refusals, banners, idempotency key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from nicegui import Client, ui
from nicegui.testing.user import User

from app.api.schemas import NewIssue, ProjectChange, ProjectOut, RunOut
from tests.builders.run_scenes import DAY, DIES, WAITS, add_project, start, until_status
from tests.drivers.web.page_calls import come_back
from tests.pages.conftest import House, html_of, until


def only(user: User, marker: str) -> Any:
    (element,) = user.find(marker=marker).elements
    return element


def sees(page: User | Client, marker: str) -> bool:
    client = page.client if isinstance(page, User) else page
    assert client is not None
    return any(e.visible for e in client.elements.values() if marker in e._markers)


def key_of(user: User) -> str:
    """Return the open form's idempotency key."""
    found = re.search(r'title="Key ([0-9a-f-]{36})', html_of(user))
    assert found is not None
    return found[1]


async def open_form(user: User, project: ProjectOut, query: str = "") -> None:
    """Open a form and wait until it shows what the agent will be told: `Run` waits for that."""
    await user.open(f"/projects/{project.id}/run{query}")
    await until(lambda: only(user, "prompt-preview").content)


async def runs_of(house: House, user: User) -> list[str]:
    return [run.id for run in (await house.api_of(user).runs()).items]


async def test_the_form_starts_a_run_and_goes_to_it(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DIES)
    await open_form(user, project)
    user.find(marker="task").type("Reject expired coupons")
    user.find("deep").click()
    user.find(marker="run-submit").click()
    await until(lambda: user.back_history[-1].startswith("/runs/run_"))
    run = await house.api_of(user).run(user.back_history[-1].removeprefix("/runs/"))
    assert (run.task, run.branch, run.trigger) == ("Reject expired coupons", "main", "manual")
    assert await runs_of(house, user) == [run.id]


async def test_the_address_fills_the_form(house: House, user: User, tmp_path: Path) -> None:
    project = await add_project(house, user, tmp_path, DIES)
    query = "?depth=quick&framework=pytest&task=do+it&model=m1&agent=script"
    await open_form(user, project, query)
    user.find(marker="run-submit").click()
    await until(lambda: user.back_history[-1].startswith("/runs/run_"))
    run = await house.api_of(user).run(user.back_history[-1].removeprefix("/runs/"))
    told = (run.depth_level, run.target_framework, run.task, run.model, run.agent)
    assert told == ("quick", "pytest", "do it", "m1", "script")


async def test_the_picker_holds_every_branch_with_the_base_chosen(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DIES, branches=300)
    await open_form(user, project)
    picker = only(user, "branch-picker")
    assert isinstance(picker, ui.select)
    assert picker.value == "main"
    assert len(picker.options) == 301
    assert "Search 301 branches" in html_of(user)


async def test_issues_that_can_be_taken_come_first(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DIES)
    api = house.api_of(user)
    for new in (NewIssue(title="vague"), NewIssue(title="ready", labels=["ready-for-agent"])):
        await api.add_issue(project.id, new)
    await open_form(user, project, "?issue=2")
    picker = only(user, "issue-picker")
    assert isinstance(picker, ui.select)
    assert list(picker.options) == [0, 2, 1]
    assert picker.value == 2


@pytest.fixture
def ten_runs_in_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNYARD_RUN_QUOTA", "10")
    monkeypatch.setenv("RUNYARD_RUN_WINDOW", "60")


@pytest.fixture
def one_run_in_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNYARD_RUN_QUOTA", "1")
    monkeypatch.setenv("RUNYARD_RUN_WINDOW", "2")


@pytest.mark.usefixtures("one_run_in_two_seconds")
async def test_an_open_form_follows_the_quota_and_run_comes_back_by_itself(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DIES)
    await open_form(user, project)
    assert only(user, "run-submit").enabled
    assert not sees(user, "quota-banner")
    await start(house, user, project, "k1")
    await until(lambda: sees(user, "quota-banner"))
    assert "Quota exhausted — next window opens in <time" in html_of(user)
    button = only(user, "run-submit")
    assert not button.enabled
    await user.should_see("Quota exhausted. Run is possible again when the next window opens.")
    await until(lambda: button.enabled)
    assert not sees(user, "quota-banner")


@pytest.mark.usefixtures("ten_runs_in_a_minute")
async def test_the_last_tenth_of_the_quota_warns_and_leaves_run_active(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DIES, max_concurrency=10)
    for number in range(9):
        await start(house, user, project, f"k{number}", task=str(number), delay=DAY)
    await open_form(user, project)
    assert "1 run remaining in the current window (resets at" in html_of(user)
    assert only(user, "run-submit").enabled


@pytest.mark.usefixtures("one_run_in_two_seconds")
async def test_a_rate_limit_has_a_banner_and_a_countdown_and_ends(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DIES)
    tabs = [user, User(user.http_client)]
    # own words: the form need not show the template's first
    pages = [await tab.open(f"/projects/{project.id}/run?task=x") for tab in tabs]
    for tab in tabs:
        tab.find(marker="run-submit").click()
    # of two simultaneous submits one is accepted and one exceeds the quota
    await until(lambda: any(sees(page, "rate-limit-banner") for page in pages))
    (late,) = (page for page in pages if sees(page, "rate-limit-banner"))
    (button,) = (e for e in late.elements.values() if "run-submit" in e._markers)
    shown = [e.content for e in late.elements.values() if isinstance(e, ui.html)]
    (banner,) = (html for html in shown if "Rate limit reached. Retry in <time data-until=" in html)
    assert 'data-testid="correlation-chip"' in banner
    await until(lambda: button.props.get("disable"))
    assert not sees(late, "quota-banner"), "one banner at a time, the rate limit's first"
    await until(lambda: not button.props.get("disable"))
    assert not sees(late, "rate-limit-banner")
    assert len(await runs_of(house, user)) == 1


async def test_a_full_repository_is_said_inline_and_the_form_keeps_what_was_typed(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, WAITS, max_concurrency=1)
    running = await start(house, user, project, "k1")
    await open_form(user, project, "?task=kept")
    user.find(marker="run-submit").click()
    await until(lambda: sees(user, "form-error"))
    assert "This repository is at maximum concurrency." in html_of(user)
    assert 'data-testid="correlation-chip"' in html_of(user)
    task = only(user, "task")
    assert isinstance(task, ui.textarea)
    assert task.value == "kept"
    assert only(user, "run-submit").enabled
    assert await runs_of(house, user) == [running.id]
    await house.api_of(user).stop(running.id)
    await until_status(house, running.id, "stopped")


async def test_a_changed_form_whose_submit_was_answered_elsewhere_leads_to_its_run(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DIES)
    await open_form(user, project)
    key = key_of(user)
    first = await start(house, user, project, key, task="the answer to this was lost")
    user.find(marker="task").type("something else")
    user.find(marker="run-submit").click()
    await until(lambda: sees(user, "form-error"))
    assert "This form has already started a run." in html_of(user)
    assert f'href="/runs/{first.id}"' in html_of(user)
    user.find("Reset form").click()
    assert key_of(user) != key
    await until(lambda: not sees(user, "form-error"))
    user.find(marker="run-submit").click()
    await until(lambda: user.back_history[-1].startswith("/runs/run_"))
    assert user.back_history[-1] != f"/runs/{first.id}"


async def test_the_form_shows_what_it_will_be_told_after_a_reset_and_a_lost_link(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DIES)
    await open_form(user, project, "?depth=deep")
    await until(lambda: "Depth: deep" in html_of(user))
    await start(house, user, project, key_of(user), task="the answer to this was lost")
    user.find(marker="run-submit").click()
    await user.should_see("Reset form")
    user.find("Reset form").click()
    await until(lambda: "Depth: standard" in html_of(user))
    await house.api_of(user).change_project(project.id, ProjectChange(instructions="Be kind."))
    await come_back(user)
    await until(lambda: "Be kind." in html_of(user))


async def test_a_template_is_chosen_by_name_and_the_default_one_is_named(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DIES)
    add, now = house.plane.services.templates.add, house.plane.clock()
    add(project.id, "nightly", "Look for <flaky> tests.", "me", now, is_default=True)
    add(project.id, "review", "Review {{branch}}. {{task}}", "me", now, is_default=False)
    await open_form(user, project)
    picker = only(user, "template-picker")
    assert picker.options == {
        "": "Default (nightly)",
        "fix-tests": "fix-tests",
        "nightly": "nightly",
        "review": "review",
    }
    await until(lambda: "Look for &lt;flaky&gt; tests.\n" in html_of(user))
    user.find(marker="task").type("Twice")
    await until(lambda: picker.options[""] == "Default (no template)")
    picker.set_value("review")
    await until(lambda: "Review run/&lt;run id&gt;. Twice\n" in html_of(user))
    await user.should_see("What it will be told · review@1")
    user.find(marker="run-submit").click()
    await until(lambda: user.back_history[-1].startswith("/runs/run_"))
    run = await house.api_of(user).run(user.back_history[-1].removeprefix("/runs/"))
    assert (run.provenance.template, run.task) == ("review@1", "Twice")


async def test_the_same_submit_again_leads_to_the_run_it_already_made(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DIES)
    await open_form(user, project)
    order = {"depth_level": "standard", "target_framework": "auto", "branch": "main"}
    first = await start(house, user, project, key_of(user), **order)
    user.find(marker="run-submit").click()
    await until(lambda: user.back_history[-1] == f"/runs/{first.id}")
    assert await runs_of(house, user) == [first.id]


async def lock(house: House, user: User, project: ProjectOut, key: str) -> RunOut:
    """Start a run that holds the branch of issue 1, planned for tomorrow."""
    return await start(house, user, project, key, issue=1, delay=DAY)


async def refused_for_lock(house: House, user: User, tmp_path: Path) -> tuple[ProjectOut, RunOut]:
    """Submit a form that is refused because `holder` has its branch; return project and holder."""
    project = await add_project(house, user, tmp_path, WAITS)
    new = NewIssue(title="Round tax", labels=["ready-for-agent"])
    await house.api_of(user).add_issue(project.id, new)
    holder = await lock(house, user, project, "holder")
    await open_form(user, project, "?issue=1&task=kept")
    user.find(marker="run-submit").click()
    await until(lambda: sees(user, "form-error"))
    assert f'pr_lock contention: <a href="/runs/{holder.id}?show=pull-request">' in html_of(user)
    return project, holder


async def test_the_message_about_a_lock_goes_by_itself_when_the_lock_does(
    house: House, user: User, tmp_path: Path
) -> None:
    _, holder = await refused_for_lock(house, user, tmp_path)
    await house.api_of(user).stop(holder.id)
    await until(lambda: not sees(user, "form-error"))
    assert only(user, "run-submit").enabled
    assert only(user, "task").value == "kept"
    assert await runs_of(house, user) == [holder.id], "nobody pressed Wait"


async def test_wait_sends_the_same_submit_with_its_key_when_the_branch_is_free(
    house: House, user: User, tmp_path: Path
) -> None:
    _, holder = await refused_for_lock(house, user, tmp_path)
    key = key_of(user)
    user.find(marker="lock-wait").click()
    await user.should_see("Waiting: the run starts by itself when the branch is free.")
    await house.api_of(user).stop(holder.id)
    await until(lambda: user.back_history[-1].startswith("/runs/run_"))
    run = await house.api_of(user).run(user.back_history[-1].removeprefix("/runs/"))
    assert (run.idempotency_key, run.issue, run.task) == (key, 1, "kept")
    assert await runs_of(house, user) == [run.id, holder.id], "it was sent once"
    await house.api_of(user).stop(run.id)


async def test_a_form_that_is_changed_or_stops_waiting_is_not_sent(
    house: House, user: User, tmp_path: Path
) -> None:
    _, holder = await refused_for_lock(house, user, tmp_path)
    user.find(marker="lock-wait").click()
    user.find(marker="task").type(" and more")
    await until(lambda: only(user, "lock-wait").text == "Wait")
    await house.api_of(user).stop(holder.id)
    await until(lambda: not sees(user, "form-error"))
    assert await runs_of(house, user) == [holder.id]


async def test_a_project_that_is_not_there_says_so(user: User) -> None:
    await user.open("/")
    answer = await user.http_client.get("/projects/proj_unknown/run")
    assert answer.status_code == 404


async def test_the_open_form_of_a_project_that_is_archived_starts_nothing_and_says_why(
    house: House, user: User, tmp_path: Path
) -> None:
    project = await add_project(house, user, tmp_path, DIES)
    await open_form(user, project)
    assert only(user, "run-submit").enabled
    await house.api_of(user).archive_project(project.id)
    await until(lambda: not only(user, "run-submit").enabled)
    await user.should_see("This project is archived. Unarchive it to start runs.")
