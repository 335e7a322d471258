"""Two people, each in a browser: each sees the other's actions at once, without disturbance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.builders.scenes import (
    Puppet,
    add_project,
    card,
    stop_here,
    wait_for_run_page,
    wait_until_released,
)
from tests.drivers.servers.processes import RunyardServer
from tests.e2e.conftest import Consoles, signed_in_browser

GOAL_MS = 500
LIMIT_MS = 5000  # generous, for a busy machine; GOAL_MS is only reported
NOTE_PRESSES = """() => document.addEventListener(
  "click", () => (sessionStorage.pressedAt = Date.now()), true)"""
NOTE_WORDS = """([selector, words]) => {
  window.heardAt = null;
  const look = () => {
    const shown = [...document.querySelectorAll(selector)].map((e) => e.textContent).join(" ");
    if (window.heardAt === null && shown.includes(words)) window.heardAt = Date.now();
  };
  new MutationObserver(look).observe(
    document.body, {subtree: true, childList: true, characterData: true});
}"""

Report = Callable[[str, object], None]


@pytest.fixture(scope="module")
def bobs_browser(browser: Browser, server: RunyardServer) -> Iterator[BrowserContext]:
    """The other person's browser, signed in for all tests of the file."""
    with signed_in_browser(browser, server, reduced_motion="reduce") as context:
        yield context


@pytest.fixture
def bob(bobs_browser: BrowserContext, consoles: Consoles) -> Iterator[Page]:
    """The other person's empty tab; the first person's is `tab`."""
    page = bobs_browser.new_page()
    consoles.watch(page)
    yield page
    page.close()


def check_delay(actor: Page, watcher: Page, report: Report) -> None:
    """Check the delay from a press in one browser to its effect in the other, by the same clock."""
    watcher.wait_for_function("window.heardAt !== null")
    pressed = int(actor.evaluate("sessionStorage.pressedAt"))
    milliseconds = int(watcher.evaluate("window.heardAt")) - pressed
    report("milliseconds", milliseconds)
    print(f"seen by the other person after {milliseconds} ms, goal {GOAL_MS}")
    assert 0 <= milliseconds <= LIMIT_MS


@pytest.fixture
def puppet(tmp_path: Path) -> Puppet:
    """The agent of the test's project."""
    return Puppet(tmp_path / "agent")


def test_an_issue_written_by_one_appears_behind_the_others_half_typed_one(
    tab: Page,
    bob: Page,
    server: RunyardServer,
    tmp_path: Path,
    puppet: Puppet,
    record_property: Report,
) -> None:
    ann = tab
    project = add_project(server, tmp_path, puppet.argv, name="writing")
    for person in (ann, bob):
        person.goto(f"{server.url}/projects/{project}")
        person.get_by_test_id("new-issue").click()
    title = bob.get_by_test_id("issue-title")
    title.press_sequentially("Half of a sent")
    title.evaluate("(e) => e.setSelectionRange(4, 4)")
    bob.evaluate(NOTE_WORDS, ["[data-testid=issues-table]", "Round tax per line"])

    ann.get_by_test_id("issue-title").fill("Round tax per line")
    ann.evaluate(NOTE_PRESSES)
    ann.get_by_test_id("issue-submit").click()
    check_delay(ann, bob, record_property)
    expect(title).to_be_focused()
    expect(title).to_have_value("Half of a sent")
    assert title.evaluate("(e) => e.selectionStart") == 4
    bob.keyboard.type("!")
    expect(title).to_have_value("Half! of a sent")


def test_a_run_of_one_shows_at_the_other_and_leaves_an_open_menu_and_a_half_written_form(
    tab: Page,
    bob: Page,
    server: RunyardServer,
    tmp_path: Path,
    puppet: Puppet,
    record_property: Report,
) -> None:
    ann, form = tab, bob.context.new_page()
    project = add_project(server, tmp_path, puppet.argv, name="looking on")
    form.goto(f"{server.url}/projects/{project}/run")
    task = form.get_by_test_id("task")
    task.press_sequentially("Make the invoice")
    bob.goto(f"{server.url}/projects")
    status = card(bob, project).get_by_test_id("card-status")
    expect(status).to_have_text("Idle")
    card(bob, project).get_by_role("button", name="More about looking on").click()
    entry = bob.get_by_role("link", name="All runs")
    expect(entry).to_be_visible()
    for page in (bob, form):
        page.evaluate("window.isTheSamePage = true")
    bob.evaluate(NOTE_WORDS, [f"[data-project='{project}'] [data-testid=card-status]", "ing"])

    ann.goto(f"{server.url}/projects/{project}/run")
    ann.evaluate(NOTE_PRESSES)
    ann.get_by_test_id("run-submit").click()
    run_id = wait_for_run_page(ann)
    check_delay(ann, bob, record_property)
    expect(status).to_contain_text("Running")
    expect(entry).to_be_visible()
    expect(form.locator(".rail .count", has_text="1 live")).to_be_visible()
    expect(task).to_be_focused()
    form.keyboard.type(" readable")
    expect(task).to_have_value("Make the invoice readable")
    assert form.evaluate("window.isTheSamePage")
    form.close()

    assert bob.evaluate("window.isTheSamePage")
    bob.keyboard.press("Escape")
    bob.goto(f"{server.url}/runs/{run_id}")
    expect(ann.get_by_test_id("run-log")).to_contain_text("ready")
    ann.evaluate(NOTE_WORDS, ["[data-testid=run-status]", "Stopped"])
    bob.evaluate(NOTE_PRESSES)
    stop_here(bob)
    check_delay(bob, ann, record_property)
    wait_until_released(server, run_id)


# last, for it signs both browsers out
def test_signing_out_everywhere_ends_every_open_page(
    tab: Page, bob: Page, server: RunyardServer, consoles: Consoles
) -> None:
    consoles.expect("401|403|WebSocket")
    ann = tab
    bob.goto(f"{server.url}/guide")
    expect(bob.get_by_test_id("live-badge")).to_have_text("Live")
    ann.goto(f"{server.url}/settings?tab=Sign-in")
    ann.get_by_test_id("sign-out-everywhere").click()
    ann.get_by_role("button", name="Press again to sign out everywhere").click()
    expect(ann.get_by_test_id("plain-title")).to_have_text("Sign in")
    expect(bob.get_by_test_id("live-badge")).to_have_text("Reconnecting…")
    bob.reload()
    expect(bob.get_by_test_id("plain-title")).to_have_text("Sign in")
