"""Submits whose response is late, refused or lost: at most one run, one row, input kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.builders.scenes import add_project, start_run, stop_here, wait_for_run_page
from tests.drivers.servers.processes import RunyardServer
from tests.drivers.web.submits import (
    SEEN_SECONDS,
    START,
    FaultFile,
    grave_findings,
    key_of,
    open_form,
    open_list,
    picture,
    row,
    rows_seen,
    runs_of,
    stop_runs,
)

SLEEPS = ["/bin/sh", "-c", "exec sleep 600"]
AGAIN = "POST /api/v1/run[s]"


@pytest.fixture(scope="module")
def settings(faults: FaultFile) -> dict[str, str]:
    """A server on which requests can be dropped."""
    return faults.settings


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the projects' repositories."""
    return tmp_path_factory.mktemp("places")


@pytest.fixture
def project(server: RunyardServer, folder: Path, faults: FaultFile) -> Iterator[str]:
    """A project of this test; its runs are stopped and faults removed afterwards."""
    name = f"shop-{len(list(folder.iterdir()))}"
    made = add_project(server, folder / name, SLEEPS, name=name)
    yield made
    faults.clear()
    stop_runs(server, made)


def test_a_late_answer_shows_submitting_on_every_list_and_then_the_run_once(
    signed_in: Page, server: RunyardServer, project: str, faults: FaultFile
) -> None:
    page = signed_in
    listed = open_list(page, server)
    rows_before = listed.get_by_test_id("run-row").count()
    open_form(page, server, project)
    faults.set({START: {"delay_seconds": SEEN_SECONDS}})
    page.get_by_test_id("run-submit").click()
    expect(page.get_by_test_id("run-submit")).to_have_text("Starting…")
    expect(page.get_by_test_id("run-submit")).to_have_attribute("aria-busy", "true")
    top = listed.get_by_test_id("run-row").first
    expect(top).to_have_attribute("data-status", "submitting")
    expect(top).to_contain_text("Submitting…")
    picture(listed, "runs-submitting")
    assert grave_findings(listed) == []
    run_id = wait_for_run_page(page)
    expect(row(listed, run_id)).to_have_count(1)
    expect(listed.locator("[data-status=submitting]")).to_have_count(0)
    assert {rows for rows, _ in rows_seen(listed)} == {rows_before, rows_before + 1}
    assert len(runs_of(server, project)) == 1


def test_a_feed_that_is_faster_than_the_answer_makes_no_second_row(
    signed_in: Page, server: RunyardServer, project: str, faults: FaultFile
) -> None:
    page = signed_in
    listed = open_list(page, server)
    rows_before = listed.get_by_test_id("run-row").count()
    open_form(page, server, project)
    faults.set({START: {"delay_answer_seconds": 2 * SEEN_SECONDS}})
    page.get_by_test_id("run-submit").click()
    expect(listed.locator("[data-testid=run-row][data-status=running]").first).to_be_visible()
    assert page.url.endswith("/run"), "the answer came before the feed"
    expect(listed.locator("[data-status=submitting]")).to_have_count(0)
    run_id = wait_for_run_page(page)
    expect(row(listed, run_id)).to_have_count(1)
    assert max(rows for rows, _ in rows_seen(listed)) == rows_before + 1


@pytest.mark.parametrize(
    ("name", "fault", "sentence"),
    [
        ("refused", {"status": 409, "body": {"error": "parked", "detail": "Parked."}}, "Parked."),
        ("fault", {"status": 500, "body": {"detail": "Something broke."}}, "Something broke."),
        ("dropped", {"drop": "request"}, "The server did not answer. Retry sends the same key"),
    ],
)
def test_a_failed_submit_takes_only_its_own_row_away_and_keeps_what_was_typed(
    signed_in: Page,
    server: RunyardServer,
    project: str,
    faults: FaultFile,
    name: str,
    fault: dict[str, Any],
    sentence: str,
) -> None:
    page = signed_in
    listed = open_list(page, server)
    rows_before = listed.get_by_test_id("run-row").count()
    open_form(page, server, project)
    key = key_of(page)
    page.get_by_test_id("task").fill("Kept over errors")
    faults.set({START: {**fault, "delay_seconds": 0.5, "times": 1}})
    page.get_by_test_id("run-submit").click()
    listed.wait_for_function("window.seenRows.some(([, open]) => open === 1)")
    meanwhile = start_run(server, project, task="somebody else's")
    error = page.get_by_test_id("form-error")
    expect(error).to_contain_text(sentence)
    expect(error.get_by_test_id("correlation-chip")).to_contain_text("corr ")
    picture(page, f"new-run-{name}")
    assert name != "dropped" or grave_findings(page) == []
    expect(listed.locator("[data-status=submitting]")).to_have_count(0)
    expect(row(listed, meanwhile)).to_have_count(1)
    expect(listed.get_by_test_id("run-row")).to_have_count(rows_before + 1)
    expect(page.get_by_test_id("task")).to_have_value("Kept over errors")
    assert key_of(page) == key
    again = error.get_by_role("button", name="Retry") if name == "dropped" else None
    (again or page.get_by_test_id("run-submit")).click()
    run_id = wait_for_run_page(page)
    assert {run["id"] for run in runs_of(server, project)} == {run_id, meanwhile}


def test_an_answer_lost_after_the_commit_is_found_again_with_the_same_key(
    signed_in: Page, server: RunyardServer, project: str, faults: FaultFile
) -> None:
    page = signed_in
    listed = open_list(page, server)
    rows_before = listed.get_by_test_id("run-row").count()
    open_form(page, server, project)
    faults.set({START: {"drop": "answer", "times": 1}, AGAIN: {"delay_seconds": 0.5}})
    page.get_by_test_id("run-submit").click()
    error = page.get_by_test_id("form-error")
    expect(error).to_contain_text(
        "The server did not answer. Retry sends the same key, so nothing can start twice."
    )
    picture(page, "new-run-no-answer")
    (run,) = runs_of(server, project)
    expect(row(listed, run["id"])).to_have_count(1)
    listed.evaluate("window.seenRows = []")
    error.get_by_role("button", name="Retry").click()
    assert wait_for_run_page(page) == run["id"]
    assert [one["id"] for one in runs_of(server, project)] == [run["id"]]
    assert all(state == (rows_before + 1, 0) for state in rows_seen(listed)), "a second row"


def test_a_double_click_sends_once(
    signed_in: Page, server: RunyardServer, project: str, faults: FaultFile
) -> None:
    page = signed_in
    listed = open_list(page, server)
    rows_before = listed.get_by_test_id("run-row").count()
    open_form(page, server, project)
    faults.set({START: {"delay_seconds": 0.3}})
    page.get_by_test_id("run-submit").dblclick()
    run_id = wait_for_run_page(page)
    expect(row(listed, run_id)).to_have_count(1)
    assert [run["id"] for run in runs_of(server, project)] == [run_id]
    assert max(rows for rows, _ in rows_seen(listed)) == rows_before + 1


def test_a_stop_that_gets_no_answer_is_taken_back_with_its_id(
    signed_in: Page, server: RunyardServer, project: str, faults: FaultFile
) -> None:
    page = signed_in
    run_id = start_run(server, project)
    page.goto(f"{server.url}/runs/{run_id}")
    expect(page.get_by_test_id("run-status")).to_contain_text("Running")
    lost = {"drop": "request", "delay_seconds": SEEN_SECONDS, "times": 1}
    faults.set({"POST /api/v1/runs/.*/stop": lost})
    stop = page.get_by_test_id("stop-run")
    stop_here(page)
    expect(stop).to_have_text("Stopping…")
    expect(stop).to_be_disabled()
    note = page.get_by_role("status").filter(has_text="The server did not answer.")
    expect(note.get_by_test_id("correlation-chip")).to_be_visible()
    expect(stop).to_have_text("Stop")
    expect(page.get_by_test_id("run-status")).to_contain_text("Running")
    stop_here(page)
    expect(page.get_by_test_id("run-status")).to_contain_text("Stopped")
    expect(stop).to_be_hidden()
