"""A browser without scripts: sign in, start, switch, stop and reset, in a tab of one browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

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
from tests.drivers.web.browsers import WIDE
from tests.drivers.web.submits import picture
from tests.drivers.web.visibility import barriers, fonts_loaded
from tests.e2e.conftest import Consoles, close_tabs, signed_in_browser

LOOKS = (
    ("plain", {"color_scheme": "light"}, 1280),
    ("plain-dark", {"color_scheme": "dark"}, 1280),
    ("plain-360", {"color_scheme": "light"}, 360),
)


@pytest.fixture(scope="module")
def without_scripts(browser: Browser, server: RunyardServer) -> Iterator[BrowserContext]:
    """A browser without scripts, signed in for all tests of the file."""
    with signed_in_browser(browser, server, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(server.url)
        page.get_by_role("link", name="The plain page").click()
        expect(page).to_have_url(f"{server.page_url}/plain")
        page.close()
        yield context


@pytest.fixture
def plain(without_scripts: BrowserContext, consoles: Consoles) -> Iterator[Page]:
    """An empty tab in the browser without scripts."""
    page = without_scripts.new_page()
    consoles.watch(page)
    yield page
    close_tabs(without_scripts)


def write_issue(server: RunyardServer, project: str, title: str = "Repair it") -> int:
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
    plain: Page, server: RunyardServer, tmp_path: Path
) -> None:
    puppet = Puppet(tmp_path / "agent")
    project = add_project(server, tmp_path, puppet.argv, name="plain start")
    page = plain
    page.goto(f"{server.url}/plain")
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


def test_a_certain_issue_is_started_with_the_keyboard(
    plain: Page, server: RunyardServer, tmp_path: Path
) -> None:
    puppet = Puppet(tmp_path / "agent")
    project = add_project(server, tmp_path, puppet.argv, name="plain chosen")
    numbers = [write_issue(server, project) for _ in range(2)]
    page = plain
    page.goto(f"{server.url}/plain")
    own = card(page, project)
    own.get_by_text("Start a certain issue").focus()
    page.keyboard.press("Enter")
    number = own.get_by_role("spinbutton")
    expect(number).to_be_visible()
    page.keyboard.press("Tab")
    expect(number).to_be_focused()
    page.keyboard.type(str(numbers[1]))
    page.keyboard.press("Enter")
    expect(notice(page)).to_contain_text("The run is accepted.")
    run_id = own.get_by_test_id("open-run").get_attribute("data-run") or ""
    wait_until(server, run_id, status="running", issue=numbers[1])
    own.get_by_role("button", name="Stop").click()
    wait_until_released(server, run_id)


def test_a_form_of_another_session_is_refused_and_the_page_leads_back(
    plain: Page, server: RunyardServer, tmp_path: Path, consoles: Consoles
) -> None:
    consoles.expect("403")
    project = add_project(server, tmp_path, NEVER_COMMITS, name="plain session")
    page = plain
    page.goto(f"{server.url}/plain")
    # a new sign-in in another tab: the first tab's form belongs to the old session
    page.context.new_page().goto(server.new_link())
    card(page, project).get_by_test_id("auto-toggle").click()
    expect(page.get_by_test_id("plain-title")).to_have_text("Nothing was changed")
    page.get_by_role("link", name="To the projects").click()
    card(page, project).get_by_test_id("auto-toggle").click()
    expect(notice(page)).to_have_text("Auto AFK runs are on.")


@pytest.fixture(scope="module")
def paused(server: RunyardServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A project with three failures and a long name, beside one with a hostile name and one."""
    hostile, long = (
        add_project(server, tmp_path_factory.mktemp("p"), NEVER_COMMITS, name=name)
        for name in (f"plain {HOSTILE}", f"plain-{LONG}"[:80])
    )
    fail(server, hostile, 1)
    fail(server, long, 3)
    return long


def take(page: Page, media: Any, width: int) -> None:
    """Give the page a color scheme and a width."""
    page.emulate_media(**media)
    page.set_viewport_size({"width": width, "height": WIDE["height"]})


def test_the_page_is_whole_in_every_look(
    plain: Page, tab: Page, server: RunyardServer, paused: str
) -> None:
    plain.goto(f"{server.url}/plain")
    expect(card(plain, paused).get_by_test_id("failures")).to_be_visible()
    # axe-core is a script, so check the same page in a browser that runs scripts
    tab.goto(f"{server.url}/plain")
    expect(card(tab, paused)).to_be_visible()
    assert "Inter Variable" in fonts_loaded(tab)
    for name, media, width in LOOKS:
        take(plain, media, width)
        expect_no_sideways_scroll(plain)
        picture(plain, name)
        take(tab, media, width)
        assert barriers(tab, of_look=name == "plain-360") == []


def test_a_pause_says_why_and_ends_with_reset(
    plain: Page, server: RunyardServer, paused: str
) -> None:
    page = plain
    page.goto(f"{server.url}/plain")
    own = card(page, paused)
    expect(own.get_by_test_id("card-status")).to_have_text("Auto paused · 3 fails")
    expect(own.get_by_test_id("failures").get_by_role("listitem")).to_have_text(
        [re.compile(rf"#{n} · Died · agent exited 3 · ") for n in (3, 2, 1)]
    )
    own.get_by_role("button", name="Reset").click()
    expect(notice(page)).to_contain_text("The failure count is reset.")
    expect(own.get_by_test_id("failures")).to_have_count(0)
    expect(own.get_by_test_id("reset")).to_have_count(0)
