"""An empty Runyard: one click adds the demo project, and a run of it delivers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from playwright.sync_api import Page, expect

from tests.builders.scenes import card, wait_for_run_page
from tests.drivers.servers.processes import RunyardServer, fresh_server


@pytest.fixture(scope="module")
def begin() -> Callable[..., AbstractContextManager[RunyardServer]]:
    return fresh_server


def test_the_demo_project_appears_where_it_was_asked_for_and_delivers(
    signed_in: Page, server: RunyardServer
) -> None:
    page = signed_in
    before = page.locator("[data-testid=project-card]").count()
    assert before == 0
    page.get_by_test_id("demo-project").click()
    demo = page.locator("[data-testid=project-card]")
    expect(demo).to_have_count(1)
    expect(page.get_by_role("status").filter(has_text="demo")).to_be_visible()
    assert page.url == f"{server.page_url}/"
    expect(demo.get_by_test_id("ready-count")).to_contain_text("5 ready")
    demo.get_by_test_id("new-run").click()
    page.get_by_test_id("issue-picker").click()
    page.get_by_role("option", name="#1 Greet people by their name").click()
    page.get_by_test_id("run-submit").click()
    run_id = wait_for_run_page(page)
    assert run_id
    expect(page.get_by_role("heading", level=1)).to_have_text("Greet people by their name")
    expect(page.get_by_test_id("run-status")).to_contain_text("Succeeded")
    expect(page.get_by_test_id("pr-card")).to_contain_text("afk/1")
    page.goto(server.url)
    expect(card(page, demo.get_attribute("data-project") or "")).to_contain_text("4 ready")
