"""Limits around the new run form: quota banners, rate limit banner, the quota page."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.builders.scenes import add_project, wait_for_run_page
from tests.drivers.servers.processes import RunyardServer, free_port, running_server
from tests.drivers.web.submits import START, FaultFile, grave_findings, open_form, picture
from tests.e2e.conftest import FAST, OpenPage

ENDS = ["/bin/sh", "-c", "exit 3"]
# long enough to submit five runs on a busy machine
WINDOW_SECONDS = 20
CLOCK = r"\d\d:\d\d"


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """A server with the default quota of 20 runs."""
    return {"RUNYARD_RUN_QUOTA": "20"}


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory, faults: FaultFile) -> Iterator[RunyardServer]:
    """A server with a quota of 5 runs in a window short enough to wait for."""
    window = {"RUNYARD_RUN_QUOTA": "5", "RUNYARD_RUN_WINDOW": str(WINDOW_SECONDS)}
    settings = {**FAST, **window, **faults.settings}
    with running_server(tmp_path_factory.mktemp("hasty"), **settings) as running:
        yield running


def start_later(server: RunyardServer, project: str, number: int) -> None:
    """Accept runs delayed by an hour: they use the quota, but no agent starts."""
    with server.client() as client:
        for one in range(number):
            order = {"project_id": project, "delay": 3600, "task": f"later {one}"}
            key = {"x-idempotency-key": str(uuid.uuid4())}
            answer = client.post("/runs", json=order, headers=key)
            assert answer.status_code == 201, answer.text


def test_an_open_form_follows_the_quota_from_none_over_amber_to_red(
    signed_in: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page = signed_in
    project = add_project(server, tmp_path, ENDS, max_concurrency=100)
    open_form(page, server, project)
    banner, run = page.get_by_test_id("quota-banner"), page.get_by_test_id("run-submit")
    gauges = page.context.new_page()
    gauges.goto(f"{server.url}/quota")
    figure = gauges.get_by_test_id("quota-gauge")
    expect(figure).to_contain_text("0 of 20 runs used")
    start_later(server, project, 17)
    expect(figure).to_contain_text("17 of 20 runs used")
    expect(page.get_by_test_id("task")).to_be_visible()
    expect(banner).to_have_count(0)
    for left, words in ((2, "2 runs"), (1, "1 run")):
        start_later(server, project, 1)
        sentence = f"You are close to your run limit. {words} remaining in the current window"
        expect(banner).to_have_text(re.compile(rf"^{sentence} \(resets at {CLOCK}\)\.$"))
        expect(banner).to_have_class(re.compile(r"\bwait\b"))
        expect(run).to_be_enabled()
        if left == 2:
            picture(page, "new-run-quota-close")
            assert grave_findings(page) == []
    start_later(server, project, 1)
    expect(banner).to_have_text(re.compile(rf"^Quota exhausted — next window opens in {CLOCK}\.$"))
    expect(banner).to_have_count(1)
    expect(banner).to_have_class(re.compile(r"\bstop\b"))
    expect(run).to_be_disabled()
    expect(run).to_have_accessible_description(
        "Quota exhausted. Run is possible again when the next window opens."
    )
    picture(page, "new-run-quota-exhausted")
    assert grave_findings(page) == []
    expect(figure).to_contain_text("20 of 20 runs used")
    expect(gauges.get_by_test_id("quota-next").locator("time[data-until]")).to_have_text(
        re.compile(CLOCK)
    )
    # planned runs use no slot
    expect(gauges.get_by_test_id("quota-projects")).to_contain_text("No project has an open run.")
    picture(gauges, "quota")
    assert grave_findings(gauges) == []
    page.goto(server.url)
    page.get_by_test_id("quota-chip").click()
    page.wait_for_url("**/quota")


def test_a_rate_limit_cannot_be_closed_counts_down_and_ends_by_itself(
    open_page: OpenPage,
    hasty: RunyardServer,
    tmp_path: Path,
    faults: FaultFile,
) -> None:
    page = open_page()
    page.goto(hasty.new_link())
    project = add_project(hasty, tmp_path, ENDS, max_concurrency=100)
    open_form(page, hasty, project)
    start_later(hasty, project, 4)
    run, limit = page.get_by_test_id("run-submit"), page.get_by_test_id("rate-limit-banner")
    page.get_by_test_id("task").fill("the fifth, and one too many")
    faults.set({START: {"delay_seconds": 3.0, "times": 1}})
    expect(page.get_by_test_id("quota-banner")).to_have_count(0)
    run.click()
    start_later(hasty, project, 1)
    expect(limit).to_contain_text(re.compile(rf"Rate limit reached\. Retry in {CLOCK}\."))
    expect(limit.get_by_test_id("correlation-chip")).to_be_visible()
    assert limit.get_by_role("button").count() == 1, "only the chip can be pressed"
    expect(page.get_by_test_id("quota-banner")).to_have_count(0)
    expect(run).to_be_disabled()
    expect(run).to_have_accessible_description(
        "Rate limit reached. Run is possible again when the countdown ends."
    )
    expect(page.get_by_role("tooltip").filter(has_text="Rate limit reached.")).to_be_visible()
    picture(page, "new-run-rate-limit")
    assert grave_findings(page) == []
    expect(page.get_by_test_id("task")).to_have_value("the fifth, and one too many")
    expect(run).to_be_enabled(timeout=2000 * WINDOW_SECONDS)
    expect(limit).to_have_count(0)
    run.click()
    wait_for_run_page(page)


def test_a_lost_counter_is_said_on_the_form_and_the_table_decides(
    open_page: OpenPage, tmp_path: Path
) -> None:
    nobody = f"redis://127.0.0.1:{free_port()}/0"
    settings = {**FAST, "RUNYARD_REDIS_URL": nobody, "RUNYARD_RUN_QUOTA": "2"}
    with running_server(tmp_path / "data", **settings) as server:
        page = open_page()
        page.goto(server.new_link())
        project = add_project(server, tmp_path, ENDS, max_concurrency=100)
        open_form(page, server, project)
        start_later(server, project, 1)
        expect(page.get_by_test_id("limits-banner")).to_contain_text("limits degraded")
        picture(page, "new-run-limits-degraded")
        assert grave_findings(page) == []
        start_later(server, project, 1)
        expect(page.get_by_test_id("quota-banner")).to_contain_text("Quota exhausted")
        page.goto(f"{server.url}/quota")
        expect(page.get_by_test_id("limits-banner")).to_be_visible()
        expect(page.get_by_test_id("quota-gauge")).to_contain_text("2 of 2 runs used")
        page.goto("about:blank")
