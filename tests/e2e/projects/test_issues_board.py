"""Issues of all projects in a browser: filtered, run, dragged, moved by keys, followed live."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.builders.scenes import Puppet, add_project, wait_until_released
from tests.drivers.servers.processes import RunyardServer
from tests.drivers.web.visibility import barriers

READY = {"labels": ["ready-for-agent"]}


@pytest.fixture
def projects(
    server: RunyardServer, tmp_path: Path, request: pytest.FixtureRequest
) -> tuple[str, str, Puppet]:
    """A project with four ready issues and one that waits, and another with one."""
    puppet, name = Puppet(tmp_path / "agent"), request.node.originalname[:30]
    shop = add_project(server, tmp_path / "a", puppet.argv, name=f"{name} shop")
    bank = add_project(server, tmp_path / "b", ["true"], name=f"{name} bank")
    with server.client() as client:
        for title in ("Refuse coupons", "Print receipts", "Round tax", "Ship abroad"):
            client.post(f"/projects/{shop}/issues", json={"title": title, **READY})
        more = {"title": "Charge gift cards", "body": "Blocked by #1", **READY}
        client.post(f"/projects/{shop}/issues", json=more)
        bug = {"title": "Export the ledger", "labels": ["ready-for-agent", "bug"]}
        client.post(f"/projects/{bank}/issues", json=bug | {"priority": "low"})
    return shop, bank, puppet


def row(page: Page, title: str) -> Locator:
    """Locate an issue's row in the list."""
    return page.get_by_test_id("issue-row").filter(has_text=title)


def column(page: Page, state: str) -> Locator:
    """Locate a column of the board."""
    return page.locator(f"[data-testid=board-column][data-state={state}]")


def card(page: Page, title: str) -> Locator:
    """Locate an issue's card on the board."""
    return page.get_by_test_id("board-card").filter(has_text=title)


def says(page: Page, state: str, *titles: str) -> None:
    """Expect these cards in a column, in this order."""
    links = column(page, state).get_by_test_id("board-card").locator("a")
    expect(links).to_have_text(list(titles))


def test_issues_are_found_and_run_from_the_list_of_all_projects(
    tab: Page, server: RunyardServer, projects: tuple[str, str, Puppet]
) -> None:
    page, (shop, bank, puppet) = tab, projects
    page.goto(f"{server.url}/issues?project={shop}")
    expect(page.get_by_test_id("issue-row")).to_have_count(5)
    expect(row(page, "Charge gift cards")).to_contain_text("Blocked by #1, ready")
    assert barriers(page) == []
    page.get_by_test_id("filter-project").click()
    page.get_by_role("menuitemradio", name="bank").click()
    expect(page.get_by_test_id("issue-row")).to_have_count(1)
    expect(page).to_have_url(f"{server.page_url}/issues?project={bank}")
    page.get_by_test_id("filter-label").click()
    page.get_by_role("menuitemradio", name="bug").click()
    expect(row(page, "Export the ledger")).to_be_visible()
    expect(page).to_have_url(f"{server.page_url}/issues?project={bank}&label=bug")
    page.reload()
    expect(page.get_by_test_id("filter-label")).to_contain_text("bug")
    expect(page.get_by_test_id("issue-row")).to_have_count(1)

    page.goto(f"{server.url}/issues?project={shop}")
    expect(page.get_by_test_id("issue-row")).to_have_count(5)
    page.keyboard.press("/")
    page.keyboard.type("coupons")
    expect(page.get_by_test_id("issue-row")).to_have_count(1)
    run = page.get_by_test_id("issue-run")
    expect(run).to_have_css("opacity", "0")
    row(page, "Refuse coupons").hover()
    expect(run).to_have_css("opacity", "1")
    run.click()
    page.get_by_role("link", name="Open the run").wait_for()
    expect(row(page, "Refuse coupons")).to_have_attribute("data-state", "running")
    puppet.tell_to_deliver()
    with server.client() as client:
        [made] = client.get("/runs", params={"project_id": shop}).json()["items"]
    wait_until_released(server, made["id"])
    expect(row(page, "Refuse coupons")).to_have_attribute("data-state", "review")


def test_cards_are_moved_by_mouse_and_keys_and_follow_what_others_do(
    tab: Page, server: RunyardServer, projects: tuple[str, str, Puppet]
) -> None:
    page, (shop, _, _) = tab, projects
    page.goto(f"{server.url}/issues?project={shop}")
    expect(page.get_by_test_id("issue-row")).to_have_count(5)
    page.get_by_test_id("view-toggle").get_by_role("button", name="Board").click()
    expect(page).to_have_url(f"{server.page_url}/issues?project={shop}&view=board")
    says(page, "ready", "Refuse coupons", "Print receipts", "Round tax", "Ship abroad")
    says(page, "waiting", "Charge gift cards")
    assert barriers(page) == []

    card(page, "Ship abroad").drag_to(
        card(page, "Refuse coupons"), target_position={"x": 20, "y": 4}
    )
    says(page, "ready", "Ship abroad", "Refuse coupons", "Print receipts", "Round tax")
    with server.client() as client:
        path = f"/projects/{shop}/issues"

        def queue() -> list[tuple[int, str]]:
            found = client.get("/issues", params={"project_id": shop, "state": "ready"}).json()
            return [(one["number"], one["priority"]) for one in found["items"]]

        page.wait_for_function("() => !document.querySelector('.held')")
        assert [number for number, _ in queue()] == [4, 1, 2, 3]
        # the keyboard does the same, and the focus stays on the card that moves
        link = card(page, "Round tax").get_by_role("link")
        link.focus()
        page.keyboard.press("Alt+ArrowUp")
        says(page, "ready", "Ship abroad", "Refuse coupons", "Round tax", "Print receipts")
        expect(link).to_be_focused()
        expect(page.get_by_text("#3 is now 3 of 4 in Ready, normal priority")).to_be_attached()

        # a card above is made urgent by another person: a dropped one takes its priority
        client.patch(f"{path}/4", json={"priority": "urgent"})
        expect(card(page, "Ship abroad")).to_contain_text("Urgent priority")
        expect(link).to_be_focused()
        link.press("Alt+ArrowUp")
        link.press("Alt+ArrowUp")
        says(page, "ready", "Round tax", "Ship abroad", "Refuse coupons", "Print receipts")
        expect(card(page, "Round tax")).to_contain_text("Urgent priority")
        assert queue()[0] == (3, "urgent")

        client.patch(f"{path}/2", json={"state": "closed"})
        says(page, "ready", "Round tax", "Ship abroad", "Refuse coupons")
        says(page, "done", "Print receipts")

        # nothing is drawn while a card is dragged
        box = card(page, "Refuse coupons").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 30, box["y"] + 10)
        page.mouse.down()
        page.mouse.move(box["x"] + 30, box["y"] - 60, steps=4)
        expect(page.locator(".kc.held")).to_have_count(1)
        client.patch(f"{path}/4", json={"state": "closed"})
        page.mouse.move(box["x"] + 30, 185, steps=4)
        expect(page.locator(".kc.held")).to_have_count(1)
        page.mouse.up()
        says(page, "ready", "Refuse coupons", "Round tax")
        says(page, "done", "Ship abroad", "Print receipts")
