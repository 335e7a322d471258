"""Runs chosen in the list: by keyboard alone, run again, and what an ended run's page shows."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from uuid import uuid4

from playwright.sync_api import Page, expect

from tests.builders.scenes import add_project, start_run, wait_until_released
from tests.drivers.servers.processes import RunyardServer
from tests.drivers.web.submits import row

FAILS = [sys.executable, "-c", "print('no way'); raise SystemExit(3)"]


def test_three_failed_runs_are_run_again_by_keyboard_alone(
    signed_in: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page = signed_in
    name = f"night {uuid4().hex[:6]}"  # another try finds the first one's project
    project = add_project(server, tmp_path, FAILS, name=name, max_concurrency=4)
    failed = [start_run(server, project, task=f"Task {number}") for number in range(3)]
    for run in failed:
        wait_until_released(server, run)
    page.goto(f"{server.url}/runs?project={project}")
    rows = page.get_by_test_id("run-row")
    expect(rows).to_have_count(3)
    expect(row(page, failed[0])).to_contain_text("Died · agent exited with code 3")
    expect(page.locator(".runs .day")).to_contain_text("3 failed")
    # the rows are there before the scripts that listen for keys
    page.wait_for_function("() => window.socket?.connected && window.did_handshake")
    for _ in failed:
        page.keyboard.press("j")
        page.keyboard.press("x")
    expect(page.get_by_test_id("bulk-count")).to_have_text("3 selected")
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("bulk-bar")).to_be_hidden()
    page.locator(".runs .th input").focus()
    page.keyboard.press("Space")
    # what is hidden takes no focus
    expect(page.get_by_test_id("bulk-bar")).to_be_visible()
    expect(page.get_by_test_id("bulk-count")).to_have_text("3 selected")
    with page.expect_download() as exported:
        page.get_by_test_id("bulk-bar").get_by_text("Export").click()
    assert zipfile.is_zipfile(exported.value.path())
    for run in failed:
        # its id to copy, and when it ended
        expect(row(page, run).locator(f"[data-copy={run}]")).to_have_count(1)
        expect(row(page, run).locator("time").first).to_be_visible()
    page.get_by_test_id("bulk-retry").focus()
    page.keyboard.press("Enter")
    # the rows that were chosen stay, each with the run that followed it
    expect(rows).to_have_count(6)
    expect(page.get_by_test_id("bulk-bar")).to_be_hidden()
    for run in failed:
        expect(row(page, run).get_by_role("link", name="retried")).to_be_visible()
    expect(page.locator("[data-testid=run-row][data-status=died]")).to_have_count(6)
    expect(page.locator(".runs .day")).to_contain_text("6 failed")


def test_an_ended_runs_page_tells_its_steps_and_why_it_ended(
    signed_in: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page = signed_in
    project = add_project(server, tmp_path, FAILS, name="ended")
    run = start_run(server, project, task="Round the tax")
    wait_until_released(server, run)
    page.goto(f"{server.url}/runs/{run}")
    expect(page.get_by_role("heading", name="Round the tax")).to_be_visible()
    steps = page.get_by_test_id("run-steps")
    expect(steps).to_contain_text("Queued")
    expect(steps).to_contain_text("Agent worked")
    # it has delivered nothing, and no step says so
    expect(steps).not_to_contain_text("Deliver")
    page.get_by_test_id("run-prompt").locator("summary").click()
    expect(page.get_by_test_id("told-text")).to_contain_text("Round the tax")
    expect(page.get_by_test_id("run-log")).to_contain_text("no way")
    expect(page.get_by_test_id("review-change")).to_have_count(0)
