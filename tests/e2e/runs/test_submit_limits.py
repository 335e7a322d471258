"""Limits around the new run form: quota banners, rate limit banner, the quota page."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.builders.scenes import add_project, wait_for_run_page
from tests.drivers.servers.processes import RunyardServer, free_port, running_server
from tests.drivers.web.submits import START, FaultFile, open_form, picture
from tests.drivers.web.visibility import barriers
from tests.e2e.conftest import FAST, Consoles, OpenPage
from tests.e2e.runs.conftest import SignedIn

ENDS = ["/bin/sh", "-c", "exit 3"]
WINDOW_SECONDS = 3600
# what is left of the window after its first run; the test then moves both clocks over it
LEFT_SECONDS = 600
CLOCK = r"\d\d:\d\d"


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file with the seconds by which the server's clock is ahead."""
    return tmp_path_factory.mktemp("clock") / "ahead"


@pytest.fixture(scope="module")
def settings(clock: Path) -> dict[str, str]:
    """A server with the default quota of 20 runs in an hour, and a clock that the test sets."""
    quota = {"RUNYARD_RUN_QUOTA": "20", "RUNYARD_RUN_WINDOW": str(WINDOW_SECONDS)}
    return {**quota, "RUNYARD_TEST_CLOCK": str(clock)}


def set_ahead(clock: Path, seconds: float) -> None:
    """Set by how many seconds the server's clock is ahead."""
    clock.with_suffix(".new").write_text(str(seconds))
    clock.with_suffix(".new").rename(clock)


def start_later(server: RunyardServer, project: str, number: int) -> None:
    """Accept runs delayed by a day: they use the quota, but no agent starts."""
    with server.client() as client:
        for one in range(number):
            order = {"project_id": project, "delay": 86_400, "task": f"later {one}"}
            key = {"x-idempotency-key": str(uuid.uuid4())}
            answer = client.post("/runs", json=order, headers=key)
            assert answer.status_code == 201, answer.text


def test_a_rate_limit_cannot_be_closed_counts_down_and_ends_by_itself(
    sign_in: OpenPage, server: RunyardServer, tmp_path: Path, faults: FaultFile, clock: Path
) -> None:
    page = sign_in()
    project = add_project(server, tmp_path, ENDS, name="limited", max_concurrency=100)
    open_form(page, server, project)
    # these were accepted some time ago, so that the countdown has no hours
    set_ahead(clock, LEFT_SECONDS - WINDOW_SECONDS)
    start_later(server, project, 17)
    set_ahead(clock, 0)
    run, limit = page.get_by_test_id("run-submit"), page.get_by_test_id("rate-limit-banner")
    page.get_by_test_id("task").fill("the last, and one too many")
    gate = faults.gate()
    faults.set({START: {"gate": gate, "times": 1}})
    expect(page.get_by_test_id("quota-banner")).to_have_count(0)
    run.click()
    start_later(server, project, 3)
    gate.touch()
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
    assert barriers(page) == []
    expect(page.get_by_test_id("task")).to_have_value("the last, and one too many")
    # the page counts down on its own clock, and the server decides on its own
    set_ahead(clock, LEFT_SECONDS)
    # a minute more: a page that took long to load is behind the server by that much
    page.clock.set_fixed_time(datetime.now(UTC) + timedelta(seconds=LEFT_SECONDS + 60))
    expect(run).to_be_enabled()
    expect(limit).to_have_count(0)
    run.click()
    wait_for_run_page(page)


def test_an_open_form_follows_the_quota_from_none_over_amber_to_red(
    signed_in: Page, server: RunyardServer, tmp_path: Path, clock: Path
) -> None:
    page = signed_in
    set_ahead(clock, 2 * WINDOW_SECONDS)
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
            assert barriers(page) == []
    start_later(server, project, 1)
    expect(banner).to_have_text(re.compile(rf"^Quota exhausted — next window opens in {CLOCK}\.$"))
    expect(banner).to_have_count(1)
    expect(banner).to_have_class(re.compile(r"\bstop\b"))
    expect(run).to_be_disabled()
    expect(run).to_have_accessible_description(
        "Quota exhausted. Run is possible again when the next window opens."
    )
    picture(page, "new-run-quota-exhausted")
    assert barriers(page) == []
    expect(figure).to_contain_text("20 of 20 runs used")
    expect(gauges.get_by_test_id("quota-next").locator("time[data-until]")).to_have_text(
        re.compile(CLOCK)
    )
    # planned runs use no slot
    expect(gauges.get_by_test_id("quota-projects")).to_contain_text("No project has an open run.")
    picture(gauges, "quota")
    assert barriers(gauges) == []
    page.goto(f"{server.url}/settings")
    page.get_by_test_id("to-quota").click()
    page.wait_for_url("**/quota")


def test_a_lost_counter_is_said_on_the_form_and_the_table_decides(
    contexts: SignedIn, consoles: Consoles, tmp_path: Path
) -> None:
    nobody = f"redis://127.0.0.1:{free_port()}/0"
    settings = {**FAST, "RUNYARD_REDIS_URL": nobody, "RUNYARD_RUN_QUOTA": "2"}
    with running_server(tmp_path / "data", **settings) as server:
        page = contexts.at(server).new_page()
        consoles.watch(page)
        project = add_project(server, tmp_path, ENDS, max_concurrency=100)
        open_form(page, server, project)
        start_later(server, project, 1)
        expect(page.get_by_test_id("limits-banner")).to_contain_text("limits degraded")
        picture(page, "new-run-limits-degraded")
        assert barriers(page) == []
        start_later(server, project, 1)
        expect(page.get_by_test_id("quota-banner")).to_contain_text("Quota exhausted")
        page.goto(f"{server.url}/quota")
        expect(page.get_by_test_id("limits-banner")).to_be_visible()
        expect(page.get_by_test_id("quota-gauge")).to_contain_text("2 of 2 runs used")
        page.close()
