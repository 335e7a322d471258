"""The demo project in four clicks: delivery, failures, pause, reset, delivery."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Page, expect

from tests.drivers.servers.processes import RunyardServer

MINUTES_SECONDS = 180
RUN_MS = 30_000


@pytest.mark.timeout(MINUTES_SECONDS + 30)
def test_four_clicks_show_a_delivery_three_failures_the_pause_reset_and_a_delivery(
    signed_in: Page, server: RunyardServer
) -> None:
    begun, page = time.monotonic(), signed_in
    page.get_by_test_id("demo-project").click()
    demo = page.get_by_test_id("project-card")
    expect(demo).to_have_count(1)
    expect(demo.get_by_test_id("ready-count")).to_contain_text("5 ready")

    demo.get_by_test_id("start-afk").click()
    expect(demo.get_by_test_id("card-status")).to_contain_text("Running #1")
    expect(demo).to_contain_text("Last: Succeeded", timeout=RUN_MS)
    expect(demo.get_by_test_id("ready-count")).to_contain_text("4 ready")

    demo.get_by_test_id("auto-toggle").click()
    expect(demo.get_by_test_id("auto-toggle")).to_contain_text("On")
    for number in (2, 3, 4):
        expect(demo.get_by_test_id("card-status")).to_contain_text(
            f"Running #{number}", timeout=RUN_MS
        )
    expect(demo.get_by_test_id("card-status")).to_have_text("Auto paused · 3 fails")
    for reason in ("agent exited 1", "its time was used up", "agent exited 0, nothing delivered"):
        expect(demo).to_contain_text(reason)
    expect(demo.get_by_test_id("ready-count")).to_contain_text("1 ready")

    demo.get_by_test_id("reset").click()
    expect(demo.get_by_test_id("card-status")).to_contain_text("Running #5")
    expect(demo).to_contain_text("Last: Succeeded", timeout=RUN_MS)
    expect(demo.get_by_test_id("card-status")).to_have_text("Idle")
    assert time.monotonic() - begun < MINUTES_SECONDS
