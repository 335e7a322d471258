"""Runs that are stopped or die, and the log of a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.state.runs.run_log import MAX_LINES
from tests.builders.scenes import (
    NEVER_COMMITS,
    Puppet,
    add_project,
    start_run,
    stop_here,
    wait_for_run_page,
    wait_until,
    wait_until_released,
)
from tests.drivers.servers.processes import RunyardServer
from tests.e2e.conftest import Consoles, OpenPage
from tests.fakes.agents.replays import STREAMS, install_replay, open_gate


def test_stop_asks_on_the_run_page_as_it_does_in_the_list_and_escape_takes_it_back(
    signed_in: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page, puppet = signed_in, Puppet(tmp_path / "agent")
    project = add_project(server, tmp_path, puppet.argv, name="stopped")
    run_id = start_run(server, project)
    page.goto(f"{server.url}/runs/{run_id}")
    expect(page.get_by_test_id("run-log")).to_contain_text("ready")
    stop = page.get_by_test_id("stop-run")
    stop.click()
    expect(stop).to_have_text("Stop now?")
    puppet.tell("say still here")
    expect(page.get_by_test_id("run-log")).to_contain_text("still here")
    expect(stop).to_have_text("Stop now?")
    page.keyboard.press("Escape")
    expect(stop).to_have_text("Stop")
    assert wait_until(server, run_id, status="running")
    stop_here(page)
    expect(page.get_by_test_id("run-status")).to_contain_text("Stopped")
    expect(stop).to_be_hidden()
    expect(page.get_by_test_id("pr-card")).to_contain_text("Run did not complete — no PR created")
    wait_until_released(server, run_id)
    page.goto(f"{server.url}/runs?project_id={project}")
    row = page.locator(f"[data-testid=run-row][data-run='{run_id}']")
    expect(row).to_have_attribute("data-status", "stopped")


def test_a_run_whose_agent_fails_says_why_and_how_to_find_it_in_the_log(
    signed_in: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page = signed_in
    project = add_project(server, tmp_path, NEVER_COMMITS, name="fails")
    page.goto(f"{server.url}/projects/{project}/run")
    page.get_by_test_id("run-submit").click()
    run_id = wait_for_run_page(page)
    expect(page.get_by_test_id("run-status")).to_contain_text("Died")
    expect(page.locator(".banner.stop")).to_contain_text("3")
    expect(page.get_by_test_id("run-log").locator("span.k1")).to_have_text("no way")
    expect(page.get_by_test_id("pr-card")).to_contain_text("Run did not complete — no PR created")
    chip = page.get_by_test_id("correlation-chip")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    chip.click()
    expect(chip).to_have_attribute("data-copied", "1")
    with server.client() as client:
        correlation_id = client.get(f"/runs/{run_id}").json()["correlation_id"]
    assert page.evaluate("navigator.clipboard.readText()") == correlation_id


def test_a_log_of_events_is_read_searched_followed_and_seen_raw(
    sign_in: OpenPage, server: RunyardServer, tmp_path: Path, programs: Path
) -> None:
    page, recording = sign_in(), STREAMS / "claude.jsonl"
    page.set_viewport_size({"width": 1280, "height": 500})  # so low that the log must scroll
    gate = install_replay(programs, "claude", recording, hold_before=6)
    project = add_project(server, tmp_path, [], name="told", agent="claude", agent_command=None)
    run_id = start_run(server, project)
    page.goto(f"{server.url}/runs/{run_id}")
    log, find = page.get_by_test_id("run-log"), page.get_by_placeholder("Find in the log")
    raw = page.get_by_role("button", name="Raw")
    readable = page.get_by_role("button", name="Readable")
    following, count = page.locator("[data-log-follow]"), page.locator("[data-log-count]")
    expect(log).to_contain_text("▸ Read /copy/src/coupons/validate.py")
    # switching the form repeats the search there, with possibly fewer hits
    raw.click()
    expect(log).to_contain_text('{"type":"system"')
    find.fill("tool")
    expect(count).to_contain_text("of")
    expect(following).to_have_text("Paused")
    readable.click()
    expect(count).to_have_text("not found")
    find.fill("validate")
    expect(count).to_have_text("1 of 2")
    page.get_by_role("button", name="Next hit").click()
    expect(count).to_have_text("2 of 2")
    # switching the form jumps to the log's end
    raw.click()
    expect(log).to_contain_text('{"type":"system"')
    log.evaluate("box => box.scrollTop = 0")
    expect(following).to_have_text("Paused")
    readable.click()
    expect(following).to_have_text("Following")
    open_gate(gate)
    expect(log).to_contain_text("Done · 62 k tokens · $0.38")
    wait_until(server, run_id, status="succeeded")
    # the next page keeps the chosen form; a download always holds the raw bytes
    with page.expect_download() as saved:
        page.get_by_test_id("log-download").click()
    assert saved.value.path().read_bytes() == recording.read_bytes()
    export = page.get_by_test_id("run-export")
    expect(export).to_have_attribute("href", f"/api/v1/runs/{run_id}/export")
    expect(export).to_have_class("btn")
    raw.click()
    expect(raw).to_have_attribute("aria-pressed", "true")
    page.reload()
    expect(log).to_contain_text('"total_cost_usd"')
    expect(raw).to_have_attribute("aria-pressed", "true")


def test_a_flood_shows_its_end_and_leaves_the_lines_that_are_being_read(
    signed_in: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page, puppet = signed_in, Puppet(tmp_path / "agent")
    page.set_viewport_size({"width": 1280, "height": 500})
    project = add_project(server, tmp_path, puppet.argv, name="floods")
    run_id = start_run(server, project)
    page.goto(f"{server.url}/runs/{run_id}")
    log, lines = page.get_by_test_id("run-log"), page.locator("[data-log] .ln")
    following = page.locator("[data-log-follow]")
    expect(log).to_contain_text("ready")
    for number in range(3):
        puppet.tell("count 30000", f"say wave {number}")
    expect(lines.last).to_have_text("wave 2")
    expect(page.get_by_text("… earlier lines …")).to_be_visible()
    assert lines.count() <= MAX_LINES
    log.evaluate("box => box.scrollTop = 0")
    expect(following).to_have_text("Paused")
    first = lines.first.inner_text()
    puppet.tell("count 30000", "count 30000", "say over")
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator("[data-log] .ln").last).to_have_text("over")
    other.close()
    expect(lines.first).to_have_text(first)
    following.click()
    expect(lines.last).to_have_text("over")
    page.get_by_text("… earlier lines …").click()
    expect(following).to_have_text("Paused")
    puppet.tell("exit 0")
    wait_until_released(server, run_id)


# in `make test`: test_submit_faults.py, where the server's answer is held back
@pytest.mark.soak
def test_submitting_shows_at_once_on_the_other_page_of_the_same_browser(
    signed_in: Page, server: RunyardServer, tmp_path: Path, consoles: Consoles
) -> None:
    form, puppet = signed_in, Puppet(tmp_path / "agent")
    project = add_project(server, tmp_path, puppet.argv, name="optimistic")
    listing = form.context.new_page()
    consoles.watch(listing)
    listing.goto(f"{server.url}/runs?project_id={project}")
    listing.evaluate(
        """() => {
          window.seen = [];
          const look = () => {
            const row = document.querySelector("[data-testid=run-row]");
            if (row && row.dataset.status !== seen.at(-1)) seen.push(row.dataset.status);
          };
          new MutationObserver(look).observe(
            document.body, {subtree: true, childList: true, attributes: true});
        }"""
    )
    form.goto(f"{server.url}/projects/{project}/run")
    form.get_by_test_id("run-submit").click()
    run_id = wait_for_run_page(form)
    row = listing.get_by_test_id("run-row")
    expect(row).to_have_attribute("data-status", "running")
    expect(row).to_have_count(1)
    assert listing.evaluate("seen")[0] == "submitting"
    puppet.tell_to_deliver()
    expect(row).to_have_attribute("data-status", "succeeded")
    wait_until_released(server, run_id)


def test_a_reader_who_scrolls_back_in_the_moment_lines_come_pauses_the_log(
    signed_in: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page, puppet = signed_in, Puppet(tmp_path / "agent")
    page.set_viewport_size({"width": 1280, "height": 500})
    project = add_project(server, tmp_path, puppet.argv, name="scrolled")
    run_id = start_run(server, project)
    page.goto(f"{server.url}/runs/{run_id}")
    log, following = page.get_by_test_id("run-log"), page.locator("[data-log-follow]")
    expect(log).to_contain_text("ready")
    expect(following).to_have_text("Following")
    # the log has just moved to its end: both moves become one scroll event
    log.evaluate(
        """box => new MutationObserver((_, watch) => {
            if (box.scrollHeight < 2 * box.clientHeight) return
            watch.disconnect()
            box.scrollTop = 0
        }).observe(box, { childList: true, subtree: true, characterData: true })"""
    )
    puppet.tell("count 200", "say over")
    expect(log.locator(".ln").last).to_have_text("over")
    expect(following).to_have_text("Paused")
    assert log.evaluate("box => box.scrollTop") == 0
    puppet.tell("exit 0")
