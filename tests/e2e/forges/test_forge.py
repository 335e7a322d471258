"""A forge in a browser: added by its token, its issue worked off, its pull request merged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.builders.scenes import card, expect_no_sideways_scroll
from tests.drivers.servers.processes import RunyardServer, wait_for
from tests.fakes.forges.twin import ForgeTwin

COMMITS = "echo a > a.txt && git add -A && git commit -qm 'Add a'"


@pytest.fixture
def page(sign_in: Callable[..., Page]) -> Page:
    return sign_in()


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForgeTwin]:
    """A Forgejo with a repository and an issue that is ready."""
    with ForgeTwin(tmp_path_factory.mktemp("forge"), "forgejo") as twin:
        twin.add_token("TOKEN_BOT")
        twin.add_token("TOKEN_REPO_ONLY", "bot", "write:repository", "read:user")
        twin.add_repository("acme/shop").write("Add a", "A file.", "ready-for-agent")
        yield twin


def test_an_issue_of_a_forge_is_started_from_its_card_and_merged_from_the_inbox(
    page: Page, server: RunyardServer, twin: ForgeTwin, tmp_path: Path
) -> None:
    page.goto(f"{server.page_url}/settings?tab=Forges")
    expect(page.get_by_test_id("forges")).to_contain_text("No forge yet.")
    page.get_by_test_id("forge-url").fill(twin.url)
    page.get_by_test_id("forge-add").click()
    expect(page.get_by_test_id("field-error")).to_contain_text("Give a token with the scopes")
    page.get_by_test_id("forge-token").fill("TOKEN_REPO_ONLY")
    page.get_by_test_id("forge-token").press("Enter")
    forge = page.locator("[data-forge]")
    expect(forge).to_contain_text("The token lacks write:issue.")
    # the token was replaced at the forge by one with all scopes
    twin.add_token("TOKEN_REPO_ONLY", "bot")
    forge.get_by_test_id("forge-check").click()
    expect(forge).to_contain_text("Acts as bot, may push, open pull requests and change issues.")
    expect(page.get_by_test_id("forge-token")).to_have_value("")
    expect_no_sideways_scroll(page)

    shop = twin.hosted["acme/shop"]
    page.goto(f"{server.page_url}/settings?tab=Forges")
    expect(page.locator("[data-forge]")).to_contain_text("in the last minute; it tells no limit.")
    page.goto(f"{server.page_url}/projects/add")
    page.get_by_test_id("project-origin").fill(shop.clone_url)
    page.get_by_test_id("project-agent").fill("script")
    page.get_by_test_id("project-command").fill(f'["/bin/sh", "-c", "{COMMITS}"]')
    page.get_by_test_id("project-submit").click()
    page.wait_for_url("**/projects/proj_*")
    project = page.url.rpartition("/")[2].partition("?")[0]
    with server.client() as client:
        wait_for(client, f"/projects/{project}", lambda one: one["state"] == "ready")
    page.goto(f"{server.page_url}/projects")
    afk = card(page, project).get_by_test_id("start-afk")
    expect(afk).to_have_attribute("aria-label", "Start AFK run (1 ready)")
    afk.click()
    with server.client() as client:
        found = wait_for(client, f"/projects/{project}/changes", lambda one: one["items"])
    (change,) = found["items"]
    pull = shop.pulls[change["number"]]
    assert pull["state"] == "open"
    page.goto(f"{server.page_url}{change['url']}")
    there = page.get_by_test_id("change-header").get_by_test_id("at-forge")
    expect(there).to_have_text(f"Pull request #{change['number']} ↗")
    expect(there).to_have_attribute("href", change["forge_url"])
    assert change["forge_url"].endswith(f"/acme/shop/pulls/{change['number']}")

    page.goto(server.page_url)
    row = page.get_by_test_id("inbox-item").filter(has_text="Add a")
    row.click()
    expect(page.get_by_test_id("inbox-preview")).to_contain_text("Add a")
    page.keyboard.press("m")
    expect(page.locator(".q-dialog")).to_contain_text("Merge into main?")
    page.keyboard.press("m")
    expect(row).to_have_count(0)
    assert shop.pulls[change["number"]]["merged"]
    assert shop.issues[1]["state"] == "closed"
