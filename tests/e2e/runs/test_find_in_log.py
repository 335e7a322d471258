"""Search in a log longer than the part that its page holds."""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.builders.scenes import add_project, start_run, wait_until
from tests.drivers.servers.processes import RunyardServer

LINES = "import sys; sys.stdout.writelines(f'line {n:05} of the night\\n' for n in range(30000))"


def test_a_line_from_the_middle_of_a_long_log_is_found_and_jumped_to(
    signed_in: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page = signed_in
    page.set_viewport_size({"width": 1280, "height": 700})
    project = add_project(server, tmp_path, [sys.executable, "-c", LINES], name="long")
    run_id = start_run(server, project)
    wait_until(server, run_id, status="died")
    page.goto(f"{server.url}/runs/{run_id}")
    log, find = page.get_by_test_id("run-log"), page.get_by_test_id("log-search")
    count, hit = page.locator("[data-log-count]"), page.locator("[data-log] .ln.hit")
    onward = page.get_by_role("button", name="Next hit")
    expect(log).to_contain_text("line 29999")
    expect(onward).to_be_hidden()
    find.fill("LINE 15000")
    expect(count).to_have_text("1 of 1")
    expect(hit).to_have_text("line 15000 of the night")
    expect(hit).to_be_in_viewport()
    find.fill("line 0012")
    expect(count).to_have_text("1 of 10")
    expect(hit).to_have_text("line 00120 of the night")
    onward.click()
    find.press("Enter")
    expect(count).to_have_text("3 of 10")
    expect(hit).to_have_text("line 00122 of the night")
    expect(hit).to_be_in_viewport()
    page.get_by_role("button", name="Previous hit").click()
    expect(count).to_have_text("2 of 10")
    find.press("Shift+Enter")
    find.press("Shift+Enter")
    expect(count).to_have_text("10 of 10")
    expect(hit).to_have_text("line 00129 of the night")
    find.fill("not in this log")
    expect(count).to_have_text("not found")
    expect(hit).to_have_count(0)
    find.press("Escape")
    expect(count).to_have_text("")
    # the search is closed: the log shows its end again
    expect(log).to_contain_text("line 29999")
