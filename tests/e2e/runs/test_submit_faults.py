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
    START,
    FaultFile,
    key_of,
    open_form,
    open_list,
    picture,
    row,
    rows_seen,
    runs_of,
    stop_runs,
)
from tests.drivers.web.visibility import barriers

SLEEPS = ["/bin/sh", "-c", "exec sleep 600"]
AGAIN = "POST /api/v1/run[s]"
STOP = "POST /api/v1/runs/.*/stop"
NO_ANSWER = "The server did not answer. Retry sends the same key, so nothing can start twice."
# each failure's picture, its fault, and what the form says
FAILURES: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("refused", {"status": 409, "body": {"error": "parked", "detail": "Parked."}}, "Parked."),
    ("fault", {"status": 500, "body": {"detail": "Something broke."}}, "Something broke."),
    ("dropped", {"drop": "request"}, NO_ANSWER),
)


@pytest.fixture
def project(server: RunyardServer, tmp_path: Path) -> Iterator[str]:
    """A project of this test; its runs are stopped afterwards."""
    made = add_project(server, tmp_path, SLEEPS, name=tmp_path.name[-12:])
    yield made
    stop_runs(server, made)


def test_a_run_shows_as_submitting_and_then_once_however_late_the_answer_is(
    signed_in: Page, server: RunyardServer, project: str, faults: FaultFile
) -> None:
    page = signed_in
    listed = open_list(page, server, project)
    open_form(page, server, project)
    sent, answered = faults.gate(), faults.gate()
    faults.set({START: {"gate": sent, "answer_gate": answered}})
    submit = page.get_by_test_id("run-submit")
    submit.dblclick()
    expect(submit).to_have_text("Starting…")
    expect(submit).to_have_attribute("aria-busy", "true")
    top = listed.get_by_test_id("run-row").first
    expect(top).to_have_attribute("data-status", "submitting")
    expect(top).to_contain_text("Submitting…")
    picture(listed, "runs-submitting")
    assert barriers(listed) == []

    # the feed is faster than the answer
    sent.touch()
    expect(top).to_have_attribute("data-status", "running")
    expect(listed.locator("[data-status=submitting]")).to_have_count(0)
    assert page.url.endswith("/run"), "the answer came before the feed"
    answered.touch()
    run_id = wait_for_run_page(page)
    expect(row(listed, run_id)).to_have_count(1)
    assert {rows for rows, _ in rows_seen(listed)} == {0, 1}
    assert [run["id"] for run in runs_of(server, project)] == [run_id], "a double click sent twice"


def test_a_failed_submit_takes_only_its_own_row_away_and_keeps_what_was_typed(
    signed_in: Page, server: RunyardServer, project: str, faults: FaultFile
) -> None:
    page = signed_in
    listed = open_list(page, server, project)
    open_form(page, server, project)
    key = key_of(page)
    task, error = page.get_by_test_id("task"), page.get_by_test_id("form-error")
    task.fill("Kept over errors")
    meanwhile = ""
    for name, fault, sentence in FAILURES:
        gate = faults.gate()
        faults.set({START: {**fault, "gate": gate, "times": 1}})
        listed.evaluate("window.seenRows = []")
        page.get_by_test_id("run-submit").click()
        listed.wait_for_function("window.seenRows.some(([, open]) => open === 1)")
        meanwhile = meanwhile or start_run(server, project, task="somebody else's")
        gate.touch()
        expect(error).to_contain_text(sentence)
        expect(error.get_by_test_id("correlation-chip")).to_contain_text("corr ")
        picture(page, f"new-run-{name}")
        expect(listed.locator("[data-status=submitting]")).to_have_count(0)
        expect(row(listed, meanwhile)).to_have_count(1)
        expect(listed.get_by_test_id("run-row")).to_have_count(1)
        expect(task).to_have_value("Kept over errors")
        assert key_of(page) == key
    assert barriers(page) == []

    # the answer is lost after the commit: the run is there, and found again with the same key
    faults.set({START: {"drop": "answer", "times": 1}, AGAIN: {"delay_seconds": 0.5}})
    error.get_by_role("button", name="Retry").click()
    expect(listed.get_by_test_id("run-row")).to_have_count(2)
    expect(listed.locator("[data-status=submitting]")).to_have_count(0)
    expect(error).to_contain_text(NO_ANSWER)
    (made,) = (run["id"] for run in runs_of(server, project) if run["id"] != meanwhile)
    expect(row(listed, made)).to_have_count(1)
    listed.evaluate("window.seenRows = []")
    error.get_by_role("button", name="Retry").click()
    assert wait_for_run_page(page) == made
    assert {run["id"] for run in runs_of(server, project)} == {made, meanwhile}
    assert all(state == (2, 0) for state in rows_seen(listed)), "a second row"


def test_a_stop_that_gets_no_answer_is_taken_back_with_its_id(
    signed_in: Page, server: RunyardServer, project: str, faults: FaultFile
) -> None:
    page = signed_in
    run_id = start_run(server, project)
    page.goto(f"{server.url}/runs/{run_id}")
    expect(page.get_by_test_id("run-status")).to_contain_text("Running")
    gate = faults.gate()
    faults.set({STOP: {"drop": "request", "gate": gate, "times": 1}})
    stop = page.get_by_test_id("stop-run")
    stop_here(page)
    expect(stop).to_have_text("Stopping…")
    expect(stop).to_be_disabled()
    gate.touch()
    note = page.get_by_role("status").filter(has_text="The server did not answer.")
    expect(note.get_by_test_id("correlation-chip")).to_be_visible()
    expect(stop).to_have_text("Stop")
    expect(page.get_by_test_id("run-status")).to_contain_text("Running")
    stop_here(page)
    expect(page.get_by_test_id("run-status")).to_contain_text("Stopped")
    expect(stop).to_be_hidden()
