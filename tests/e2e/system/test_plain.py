"""A browser without scripts: sign in, start, switch, stop and reset."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.builders.scenes import (
    HOSTILE,
    LONG,
    NEVER_COMMITS,
    Puppet,
    add_project,
    card,
    expect_no_sideways_scroll,
    start_run,
    wait_until,
    wait_until_released,
)
from tests.drivers.servers.processes import RunyardServer
from tests.drivers.web.submits import grave_findings, picture
from tests.e2e.conftest import Consoles, OpenPage

OpenPlain = Callable[..., Page]


@pytest.fixture
def open_plain(open_page: OpenPage, server: RunyardServer) -> OpenPlain:
    """`open_plain(**context)` signs in without scripts and opens the plain page."""

    def enter(**context: object) -> Page:
        page = open_page(java_script_enabled=False, **context)
        page.goto(server.new_link())
        page.get_by_role("link", name="The plain page").click()
        expect(page).to_have_url(f"{server.page_url}/plain")
        return page

    return enter


def write_issue(server: RunyardServer, project: str, title: str = "Mend it") -> int:
    """Create a ready issue and return its number."""
    with server.client() as client:
        body = {"title": title, "labels": ["ready-for-agent"]}
        return int(client.post(f"/projects/{project}/issues", json=body).json()["number"])


def fail(server: RunyardServer, project: str, times: int) -> None:
    """Run new issues, one after another, each of which dies."""
    for _ in range(times):
        number = write_issue(server, project, "It fails")
        wait_until_released(server, start_run(server, project, issue=number))


def notice(page: Page) -> Locator:
    """Locate the notice about the last form."""
    return page.get_by_test_id("notice")


def test_a_run_is_started_and_stopped_and_the_loop_switched(
    open_plain: OpenPlain, server: RunyardServer, tmp_path: Path
) -> None:
    puppet = Puppet(tmp_path / "agent")
    project = add_project(server, tmp_path, puppet.argv, name="plain start")
    page = open_plain()
    own = card(page, project)
    expect(own.get_by_test_id("card-status")).to_have_text("Idle")
    own.get_by_role("button", name="Auto AFK runs: Off").click()
    expect(notice(page)).to_have_text("Auto AFK runs are on.")
    own.get_by_role("button", name="Auto AFK runs: On").click()
    expect(notice(page)).to_have_text("Auto AFK runs are off. Live runs continue.")
    number = write_issue(server, project, "Show tax on receipts")
    page.get_by_test_id("reload").click()
    expect(notice(page)).to_have_count(0)
    expect(own.get_by_test_id("ready-count")).to_have_text("(1 ready)")
    own.get_by_test_id("start-afk").click()
    expect(notice(page)).to_have_text("The run is accepted. Reload to see its progress.")
    run_id = own.get_by_test_id("open-run").get_attribute("data-run") or ""
    wait_until(server, run_id, status="running", issue=number, trigger="manual")
    page.get_by_test_id("reload").click()
    expect(own.get_by_test_id("card-status")).to_contain_text(f"Running #{number} · 00:")
    expect(own.get_by_test_id("ready-count")).to_have_text("(0 ready)")
    # grey, but still focusable and answered
    own.get_by_test_id("start-afk").focus()
    page.keyboard.press("Enter")
    expect(notice(page)).to_have_text("No ready-for-agent issues to start.")
    own.get_by_role("button", name="Stop").click()
    expect(notice(page)).to_have_text("The run is stopped. Its work is kept.")
    wait_until_released(server, run_id)
    page.get_by_test_id("reload").click()
    expect(own.get_by_test_id("open-run")).to_have_count(0)
    expect(own.get_by_test_id("card-status")).to_have_text("Idle")


def test_a_pause_says_why_and_ends_with_reset(
    open_plain: OpenPlain, server: RunyardServer, tmp_path: Path
) -> None:
    project = add_project(server, tmp_path, NEVER_COMMITS, name="plain pause")
    fail(server, project, 3)
    page = open_plain()
    own = card(page, project)
    expect(own.get_by_test_id("card-status")).to_have_text("Auto paused · 3 fails")
    expect(own.get_by_test_id("failures").get_by_role("listitem")).to_have_text(
        [re.compile(rf"#{n} · Died · agent exited 3 · ") for n in (3, 2, 1)]
    )
    own.get_by_role("button", name="Reset").click()
    expect(notice(page)).to_contain_text("The failure count is reset.")
    expect(own.get_by_test_id("failures")).to_have_count(0)
    expect(own.get_by_test_id("reset")).to_have_count(0)


def test_a_certain_issue_is_started_with_the_keyboard(
    open_plain: OpenPlain, server: RunyardServer, tmp_path: Path
) -> None:
    puppet = Puppet(tmp_path / "agent")
    project = add_project(server, tmp_path, puppet.argv, name="plain chosen")
    numbers = [write_issue(server, project) for _ in range(2)]
    page = open_plain()
    own = card(page, project)
    own.get_by_text("Start a certain issue").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type(str(numbers[1]))
    page.keyboard.press("Enter")
    expect(notice(page)).to_contain_text("The run is accepted.")
    run_id = own.get_by_test_id("open-run").get_attribute("data-run") or ""
    wait_until(server, run_id, issue=numbers[1])
    own.get_by_role("button", name="Stop").click()
    wait_until_released(server, run_id)


def test_a_form_of_another_session_is_refused_with_a_way_on(
    open_plain: OpenPlain, server: RunyardServer, tmp_path: Path, consoles: Consoles
) -> None:
    consoles.expect("403")
    project = add_project(server, tmp_path, NEVER_COMMITS, name="plain session")
    page = open_plain()
    # a new sign-in in another tab: the first tab's form belongs to the old session
    page.context.new_page().goto(server.new_link())
    card(page, project).get_by_test_id("auto-toggle").click()
    expect(page.get_by_test_id("plain-title")).to_have_text("Nothing was changed")
    page.get_by_role("link", name="To the projects").click()
    card(page, project).get_by_test_id("auto-toggle").click()
    expect(notice(page)).to_have_text("Auto AFK runs are on.")


@pytest.fixture(scope="module")
def crowded(server: RunyardServer, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Projects with a hostile and a long name, with one failure and with three."""
    for failures, name in ((1, f"plain {HOSTILE}"), (3, f"plain-{LONG}"[:80])):
        project = add_project(server, tmp_path_factory.mktemp("p"), NEVER_COMMITS, name=name)
        fail(server, project, failures)


@pytest.mark.usefixtures("crowded")
@pytest.mark.parametrize(
    ("name", "context"),
    [
        ("plain", {}),
        ("plain-dark", {"color_scheme": "dark"}),
        ("plain-360", {"viewport": {"width": 360, "height": 740}, "has_touch": True}),
    ],
)
def test_the_page_is_whole_in_every_look(
    name: str,
    context: dict[str, object],
    open_plain: OpenPlain,
    sign_in: OpenPage,
    server: RunyardServer,
) -> None:
    page = open_plain(**context)
    expect_no_sideways_scroll(page)
    picture(page, name)
    # axe-core is a script, so check the same page in a browser that runs scripts
    with_scripts = sign_in(**context)
    with_scripts.goto(f"{server.url}/plain")
    assert grave_findings(with_scripts) == []
