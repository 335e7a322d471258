"""The search over everything, the keys of lists and places, and what the tab says."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.builders.scenes import HOSTILE, add_project, wait_until
from tests.drivers.servers.processes import RunyardServer

DIES = ["/bin/sh", "-c", "exit 3"]
IS_READY = "() => window.socket?.connected && window.did_handshake"
ICON = "() => document.querySelector('link[rel=icon]').getAttribute('href')"
LIST = """() => {
  const list = document.createElement("div");
  list.dataset.keys = "list";
  for (const id of ["a", "b", "c"])
    list.innerHTML += `<p data-row="${id}"><input type="checkbox"><a href="#${id}">${id}</a></p>`;
  document.querySelector(".page").append(list);
  window.picked = [];
  list.addEventListener("picked", (event) => window.picked.push(event.detail));
}"""


@pytest.fixture(scope="module")
def ledger(server: RunyardServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A project with an issue and a project of a hostile name."""
    folder = tmp_path_factory.mktemp("origins")
    project = add_project(server, folder / "ledger", DIES, name="ledger")
    add_project(server, folder / "odd", DIES, name=HOSTILE)
    with server.client() as client:
        body = {"title": f"Round tax {HOSTILE}", "labels": ["ready-for-agent"]}
        assert client.post(f"/projects/{project}/issues", json=body).status_code == 201
    return project


def test_a_person_finds_opens_and_starts_things_without_the_mouse(
    tab: Page, server: RunyardServer, ledger: str
) -> None:
    tab.goto(f"{server.page_url}/settings")
    tab.wait_for_function(IS_READY)
    box, field = tab.get_by_test_id("command-palette"), tab.get_by_test_id("palette-input")
    rows = tab.get_by_test_id("palette-item")
    expect(box).to_be_hidden()
    tab.keyboard.press("Control+k")
    expect(field).to_be_focused()
    expect(rows.filter(has_text="Go to Inbox")).to_be_visible()

    # hostile words are shown as words
    field.fill("alert")
    expect(rows.filter(has_text=HOSTILE).first).to_be_visible()
    assert box.locator("img, script").count() == 0

    # the first row is chosen, an arrow chooses the next, Enter opens it
    field.fill("#tax")
    expect(rows).to_have_count(1)
    expect(rows.first).to_have_attribute("aria-selected", "true")
    with tab.context.expect_page() as opened:
        tab.keyboard.press("Control+Enter")
    expect(opened.value.locator("h1")).to_contain_text("Round tax")
    opened.value.close()
    field.fill("ledger")
    expect(rows.nth(1)).to_contain_text("Start AFK run in ledger")
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("Enter")
    expect(box).to_be_hidden()
    expect(tab.get_by_test_id("toast")).to_contain_text("AFK run started.")
    tab.get_by_test_id("toast-action").click()
    tab.wait_for_url("**/runs/*")


def test_keys_move_in_a_list_lead_to_places_and_can_be_turned_off(
    tab: Page, server: RunyardServer, ledger: str
) -> None:
    tab.goto(f"{server.page_url}/settings")
    tab.wait_for_function(IS_READY)
    tab.evaluate(LIST)
    for key in ("j", "j", "k", "ArrowDown", "x", "Enter"):
        tab.keyboard.press(key)
    assert tab.evaluate("window.picked") == ["a", "b", "a", "b"]
    expect(tab.locator("[data-row=b] input")).to_be_checked()
    assert tab.url.endswith("#b")
    tab.locator("[data-row=c] a").dblclick()
    assert tab.evaluate("window.picked").pop() == "c"

    tab.keyboard.press("?")
    page_help = tab.get_by_test_id("shortcut-help")
    expect(page_help).to_contain_text("Move in a list")
    tab.keyboard.press("j")  # behind a dialog nothing moves
    assert len(tab.evaluate("window.picked")) == 5
    page_help.get_by_role("checkbox").uncheck()
    tab.keyboard.press("Escape")
    tab.keyboard.press("g")
    tab.keyboard.press("p")
    tab.keyboard.press("?")
    expect(page_help).to_have_count(0)
    assert "/settings" in tab.url

    # remembered by this browser, and turned on again without a key
    tab.reload()
    tab.wait_for_function(IS_READY)
    tab.get_by_role("button", name="Look and shortcuts").click()
    tab.get_by_role("button", name="Keyboard shortcuts").click()
    page_help.get_by_role("checkbox").check()
    tab.keyboard.press("Escape")
    tab.keyboard.press("g")
    tab.keyboard.press("p")
    tab.wait_for_url("**/projects")


def test_the_tab_says_how_many_things_need_a_person(
    tab: Page, server: RunyardServer, tmp_path: Path
) -> None:
    project = add_project(server, tmp_path / "fails", DIES, name="fails")
    tab.goto(f"{server.page_url}/settings")
    tab.wait_for_function(IS_READY)
    expect(tab).to_have_title("Settings · Runyard")
    assert tab.evaluate(ICON) == "/assets/icon.svg"
    with server.client() as client:
        for _ in range(3):
            number = client.post(
                f"/projects/{project}/issues", json={"title": "T", "labels": ["ready-for-agent"]}
            ).json()["number"]
            run = client.post(f"/projects/{project}/afk/start", json={"issue": number}).json()
            wait_until(server, run["id"], status="died")
    expect(tab).to_have_title("(1) Settings · Runyard")
    expect(tab.get_by_test_id("nav-inbox").locator(".alarm")).to_contain_text("1")
    tab.wait_for_function(f"{ICON[6:]} === '/assets/icon-waiting.svg'")
    with server.client() as client:
        client.post(f"/projects/{project}/afk/reset")
    expect(tab).to_have_title("Settings · Runyard")
    tab.wait_for_function(f"{ICON[6:]} === '/assets/icon.svg'")
