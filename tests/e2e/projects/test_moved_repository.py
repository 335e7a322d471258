"""A repository that moves away: its card says so, and `Locate…` brings it back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.builders.repositories import make_origin
from tests.builders.scenes import add_project, card, expect_no_sideways_scroll
from tests.drivers.servers.processes import RunyardServer, wait_for

COMMITS = ["/bin/sh", "-c", "echo a > a.txt && git add -A && git commit -qm 'Add a'"]


@pytest.fixture
def page(sign_in: Callable[..., Page]) -> Page:
    return sign_in()


def test_a_repository_that_moved_is_located_from_its_card(
    page: Page, server: RunyardServer, tmp_path: Path
) -> None:
    shop = add_project(server, tmp_path / "shop", COMMITS, name="shop", tags=["web"])
    page.goto(f"{server.page_url}/projects")
    idle = page.get_by_test_id("projects-idle")
    row = idle.get_by_test_id("project-row").filter(has_text="shop")
    expect(row.get_by_test_id("auto-toggle")).to_have_attribute("aria-pressed", "false")
    row.get_by_test_id("auto-toggle").focus()

    old, new = tmp_path / "shop" / "origin", tmp_path / "archive" / "shop"
    new.parent.mkdir()
    old.rename(new)
    with server.client() as client:
        client.post(f"/projects/{shop}/check-again").raise_for_status()
    here = card(page, shop)
    attention = page.get_by_test_id("projects-needs-you")
    expect(attention.get_by_test_id("project-card")).to_have_count(1)
    expect(here.get_by_test_id("card-status")).to_have_text("Repository unreachable")
    expect(here).to_contain_text(f"There is no folder {old}.")
    # the card was drawn anew in its section, and the keyboard is where it was
    expect(here.get_by_test_id("auto-toggle")).to_be_focused()

    here.get_by_test_id("check-again").click()
    expect(here.get_by_test_id("check-again")).to_have_text("Check again")
    here.get_by_test_id("locate").click()
    dialog = page.get_by_role("dialog", name="Locate shop")
    dialog.get_by_test_id("locate-origin").fill(str(make_origin(tmp_path / "x", files={"x": "x"})))
    dialog.get_by_test_id("locate-submit").click()
    expect(dialog.get_by_test_id("field-error")).to_contain_text("This is another repository")
    dialog.get_by_test_id("locate-origin").fill(str(new))
    dialog.get_by_test_id("locate-origin").press("Enter")
    expect(dialog).to_be_hidden()
    expect(row.get_by_test_id("card-status")).to_have_text("Idle")
    with server.client() as client:
        found = wait_for(client, f"/projects/{shop}", lambda one: not one["unreachable"])
        assert found["origin"] == str(new)
        issue = {"title": "Add a", "labels": ["ready-for-agent"]}
        client.post(f"/projects/{shop}/issues", json=issue).raise_for_status()
    row.get_by_test_id("start-afk").click()
    expect(row).to_contain_text("Succeeded #1")


def test_the_tags_of_projects_are_chips_that_lead_to_them_on_a_phone_too(
    sign_in: Callable[..., Page], server: RunyardServer, tmp_path: Path
) -> None:
    for name, tags in (("till", ["web", "pay"]), ("cron", ["ops"])):
        add_project(server, tmp_path / name, COMMITS, name=name, tags=tags)
    page = sign_in(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.goto(f"{server.page_url}/projects")
    page.get_by_test_id("tag-filter").get_by_role("link", name="pay 1").tap()
    page.wait_for_url("**/projects?tag=pay")
    expect(page.get_by_test_id("project-card")).to_have_count(1)
    expect(page.get_by_test_id("project-card")).to_contain_text("till")
    expect_no_sideways_scroll(page, 390)
    for mark in ("start-afk", "auto-toggle", "card-menu"):
        box = page.get_by_test_id(mark).bounding_box()
        assert box is not None
        assert box["height"] >= 44
        assert box["width"] >= 44
