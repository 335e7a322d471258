"""The demo project on a fresh server, in a few clicks: delivery, failures, reset, delivery."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.builders.scenes import wait_for_run_page
from tests.drivers.servers.processes import RunyardServer, fresh_server

MINUTES_SECONDS = 180
RUN_MS = 30_000
# a run of the demo may take 15 s, and the third one takes all that it may
BUDGET_SECONDS, SHORT_SECONDS = 15, 4


@pytest.fixture(scope="module")
def begin() -> Callable[..., AbstractContextManager[RunyardServer]]:
    return fresh_server


def set_budget(server: RunyardServer, project: str, seconds: int) -> None:
    """Give the project's next runs this many seconds."""
    with server.client() as client:
        answer = client.patch(f"/projects/{project}", json={"budget_seconds": seconds})
        assert answer.status_code == 200, answer.text


def make_and_deliver(page: Page, server: RunyardServer) -> Locator:
    """Make the demo project and have its first issue delivered; return its card."""
    page.goto(server.url)
    expect(page.get_by_test_id("demo-project")).to_be_visible()
    demo = page.get_by_test_id("project-card")
    expect(demo).to_have_count(0)
    page.get_by_test_id("demo-project").click()
    expect(demo).to_have_count(1)
    expect(page.get_by_role("status").filter(has_text="demo")).to_be_visible()
    assert page.url == f"{server.page_url}/"
    expect(demo.get_by_test_id("ready-count")).to_contain_text("5 ready")

    demo.get_by_test_id("new-run").click()
    page.get_by_test_id("issue-picker").click()
    page.get_by_role("option", name="#1 Greet people by their name").click()
    page.get_by_test_id("run-submit").click()
    wait_for_run_page(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Greet people by their name")
    expect(page.get_by_test_id("run-status")).to_contain_text("Succeeded", timeout=RUN_MS)
    expect(page.get_by_test_id("pr-card")).to_contain_text("afk/1")

    page.goto(server.url)
    expect(demo).to_contain_text("Last: Succeeded")
    expect(demo.get_by_test_id("ready-count")).to_contain_text("4 ready")
    return demo


# the rest of the story: tests/cli/system/test_demo.py, and on a card test_afk_cards.py
def test_a_few_clicks_make_the_demo_project_and_show_a_delivery(
    tab: Page, server: RunyardServer
) -> None:
    make_and_deliver(tab, server)


@pytest.mark.soak
@pytest.mark.timeout(MINUTES_SECONDS + 30)
def test_a_few_clicks_show_a_delivery_three_failures_the_pause_reset_and_a_delivery(
    tab: Page, server: RunyardServer
) -> None:
    begun = time.monotonic()
    demo = make_and_deliver(tab, server)

    demo.get_by_test_id("auto-toggle").click()
    expect(demo.get_by_test_id("auto-toggle")).to_contain_text("On")
    project = demo.get_attribute("data-project") or ""
    for number, budget in ((2, SHORT_SECONDS), (3, BUDGET_SECONDS), (4, BUDGET_SECONDS)):
        expect(demo.get_by_test_id("card-status")).to_contain_text(
            f"Running #{number}", timeout=RUN_MS
        )
        set_budget(server, project, budget)
    expect(demo.get_by_test_id("card-status")).to_have_text("Auto paused · 3 fails")
    for reason in ("agent exited 1", "its time was used up", "agent exited 0, nothing delivered"):
        expect(demo).to_contain_text(reason)
    expect(demo.get_by_test_id("ready-count")).to_contain_text("1 ready")

    demo.get_by_test_id("reset").click()
    expect(demo.get_by_test_id("card-status")).to_contain_text("Running #5")
    expect(demo).to_contain_text("Last: Succeeded", timeout=RUN_MS)
    expect(demo.get_by_test_id("card-status")).to_have_text("Idle")
    assert time.monotonic() - begun < MINUTES_SECONDS
