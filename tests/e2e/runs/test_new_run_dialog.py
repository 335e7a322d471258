"""New run as a dialog over the list of runs: the new row stays in view, with its outcome."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.builders.scenes import (
    add_project,
    expect_no_sideways_scroll,
    start_run,
    wait_for_run_page,
    wait_until,
    wait_until_released,
)
from tests.drivers.servers.processes import RunyardServer
from tests.drivers.web.submits import (
    IS_DRAWN,
    START,
    FaultFile,
    key_of,
    picture,
    runs_of,
    stop_runs,
)
from tests.drivers.web.visibility import barriers
from tests.e2e.conftest import Consoles, OpenPage

SLEEPS = ["/bin/sh", "-c", "exec sleep 600"]
# true if the dialog does not cover the new row
ROW_IS_FREE = """() => {
  const row = document.querySelector("[data-status=submitting]").getBoundingClientRect();
  return document.querySelector(".q-dialog .sheet").getBoundingClientRect().top >= row.bottom;
}"""
PHONES = ((390, 844), (360, 640))
LOST_LINK = "ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_INTERNET_DISCONNECTED|WebSocket|Failed to fetch"


@pytest.fixture
def project(server: RunyardServer, tmp_path: Path) -> Iterator[str]:
    """A project of this test; its runs are stopped afterwards."""
    made = add_project(server, tmp_path, SLEEPS, name=f"shop-{tmp_path.name[-12:]}")
    yield made
    stop_runs(server, made)


def open_runs(page: Page, server: RunyardServer, project: str) -> None:
    """Open the list of runs, filtered by project."""
    page.goto(f"{server.url}/runs?project={project}")
    page.wait_for_function(IS_DRAWN)


# the other address in `make test`: the next test
@pytest.mark.parametrize(
    "address",
    [pytest.param("/runs?project={}", marks=pytest.mark.soak), "/projects/{}?tab=Runs"],
)
def test_the_submitter_sees_submitting_on_top_of_the_list_and_then_the_run(
    signed_in: Page, server: RunyardServer, project: str, faults: FaultFile, address: str
) -> None:
    page = signed_in
    page.goto(server.url + address.format(project))
    page.wait_for_function(IS_DRAWN)
    page.keyboard.press("n")
    dialog = page.get_by_role("dialog", name="New run")
    expect(dialog.get_by_test_id("task")).to_be_focused()
    dialog.get_by_test_id("task").fill("Round the tax")
    picture(page, "new-run-over-list")
    assert barriers(page, within=".q-dialog") == []
    gate = faults.gate()
    faults.set({START: {"gate": gate}})
    dialog.get_by_test_id("run-submit").click()
    top = page.get_by_test_id("run-row").first
    expect(top).to_have_attribute("data-status", "submitting")
    expect(top).to_contain_text("Submitting…")
    expect(dialog.get_by_test_id("run-submit")).to_have_attribute("aria-busy", "true")
    page.wait_for_function(ROW_IS_FREE)
    picture(page, "new-run-under-way")
    gate.touch()
    run_id = wait_for_run_page(page)
    assert [run["id"] for run in runs_of(server, project)] == [run_id]


def test_a_refused_submit_comes_back_with_its_reason_and_what_was_typed(
    signed_in: Page, server: RunyardServer, project: str, faults: FaultFile
) -> None:
    page = signed_in
    open_runs(page, server, project)
    page.get_by_test_id("new-run").click()
    dialog = page.get_by_role("dialog", name="New run")
    dialog.get_by_test_id("task").fill("Kept over errors")
    refusal = {"error": "parked", "detail": "Parked."}
    gate = faults.gate()
    faults.set({START: {"status": 409, "body": refusal, "gate": gate, "times": 1}})
    dialog.get_by_test_id("run-submit").click()
    expect(page.locator("[data-status=submitting]")).to_have_count(1)
    page.wait_for_function(ROW_IS_FREE)
    gate.touch()
    error = dialog.get_by_test_id("form-error")
    expect(error).to_contain_text("Parked.")
    expect(error.get_by_test_id("correlation-chip")).to_contain_text("corr ")
    expect(page.locator("[data-status=submitting]")).to_have_count(0)
    expect(dialog.get_by_test_id("task")).to_have_value("Kept over errors")
    expect(dialog.get_by_test_id("run-submit")).to_be_in_viewport()
    picture(page, "new-run-refused-over-list")
    dialog.get_by_test_id("run-submit").click()
    wait_for_run_page(page)


def test_where_there_are_several_projects_new_run_offers_each_as_a_link(
    signed_in: Page, server: RunyardServer, project: str, tmp_path: Path
) -> None:
    page = signed_in
    other = add_project(server, tmp_path / "other", SLEEPS, name=f"till-{tmp_path.name[-12:]}")
    for address, mark in (("/runs", "new-run"), ("/", "new-run-anywhere")):
        page.goto(server.url + address)
        page.wait_for_function(IS_DRAWN)
        page.keyboard.press("n")
        entry = page.locator(f"[data-testid=run-in][data-project='{other}']")
        expect(entry).to_have_attribute("href", f"/projects/{other}/run")
        picture(page, f"{mark}-picker")
        assert urlsplit(page.url).path == address
        with page.context.expect_page() as opened:
            entry.click(modifiers=["ControlOrMeta"])
        opened.value.wait_for_url(f"**/projects/{other}/run")
        opened.value.close()
        if not entry.is_visible():
            page.get_by_test_id(mark).click()
        entry.click()
        dialog = page.get_by_role("dialog", name="New run")
        expect(dialog).to_contain_text("Run till-")
        expect(page.locator(".q-menu")).to_have_count(0)
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        assert page.locator("a[href='#']").count() == 0


def test_on_a_phone_the_dialog_is_whole_and_keeps_the_focus_until_escape(
    signed_in: Page, server: RunyardServer, project: str
) -> None:
    page = signed_in
    open_runs(page, server, project)
    new_run, dialog = page.get_by_test_id("new-run"), page.get_by_role("dialog", name="New run")
    for width, height in PHONES:
        page.set_viewport_size({"width": width, "height": height})
        new_run.click()
        expect(dialog.get_by_test_id("run-submit")).to_be_enabled()
        picture(page, f"new-run-over-list-{width}")
        for _ in range(14):
            page.keyboard.press("Tab")
            assert page.evaluate("Boolean(document.activeElement.closest('.q-dialog'))")
        dialog.get_by_test_id("run-submit").scroll_into_view_if_needed()
        expect(dialog.get_by_test_id("run-submit")).to_be_in_viewport(ratio=1)
        expect_no_sideways_scroll(page)
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        expect(new_run).to_be_focused()


def test_a_submit_that_waits_for_its_branch_goes_by_itself_also_after_a_lost_link(
    sign_in: OpenPage, server: RunyardServer, project: str, consoles: Consoles
) -> None:
    page = sign_in()
    with server.client() as client:
        issue = {"title": "Round tax", "labels": ["ready-for-agent"]}
        client.post(f"/projects/{project}/issues", json=issue)
    holder = start_run(server, project, issue=1, delay=86400)
    page.goto(f"{server.url}/projects/{project}/issues/1")
    page.get_by_test_id("run-issue").click()
    dialog = page.get_by_role("dialog", name="New run")
    dialog.get_by_test_id("run-submit").click()
    error = dialog.get_by_test_id("form-error")
    expect(error).to_contain_text("pr_lock contention")
    link = error.get_by_role("link")
    expect(link).to_have_attribute("href", f"/runs/{holder}?show=pull-request")
    picture(page, "new-run-lock")
    with page.context.expect_page() as opened:
        link.click(modifiers=["ControlOrMeta"])
    expect(opened.value.get_by_test_id("pr-card")).to_be_visible()
    opened.value.close()
    error.get_by_role("button", name="Wait").click()
    expect(error).to_contain_text("Waiting: the run starts by itself when the branch is free.")
    expect(error.get_by_role("button", name="Stop waiting")).to_be_focused()
    picture(page, "new-run-lock-waits")
    assert barriers(page, within=".q-dialog") == []
    consoles.expect(LOST_LINK)
    page.context.set_offline(True)
    page.evaluate("window.socket.io.engine.close()")
    expect(page.get_by_test_id("live-badge")).to_have_text("Reconnecting…")
    with server.client() as client:
        client.post(f"/runs/{holder}/stop")
    wait_until_released(server, holder)
    page.context.set_offline(False)
    run_id = wait_for_run_page(page)
    assert [run["id"] for run in runs_of(server, project)] == [run_id, holder]


def test_what_is_typed_into_the_dialog_without_a_link_is_what_is_sent(
    sign_in: OpenPage, server: RunyardServer, project: str, consoles: Consoles
) -> None:
    page = sign_in()
    open_runs(page, server, project)
    new_run, dialog = page.get_by_test_id("new-run"), page.get_by_role("dialog", name="New run")
    new_run.click()
    dialog.get_by_test_id("task").fill("Of a form that was closed")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    new_run.click()
    expect(dialog.get_by_test_id("task")).to_have_value("")
    key = key_of(page)
    consoles.expect(LOST_LINK)
    page.context.set_offline(True)
    page.evaluate("window.socket.io.engine.close()")
    expect(page.get_by_test_id("live-badge")).to_have_text("Reconnecting…")
    dialog.get_by_test_id("task").fill("Typed in a tunnel")
    page.context.set_offline(False)
    expect(page.get_by_test_id("live-badge")).to_have_text("Live")
    expect(dialog.get_by_test_id("task")).to_have_value("Typed in a tunnel")
    assert key_of(page) == key
    dialog.get_by_test_id("run-submit").click()
    run = wait_until(server, wait_for_run_page(page), task="Typed in a tunnel")
    assert run["idempotency_key"] == key


def test_n_and_enter_start_nothing_and_control_enter_starts_what_was_shown(
    server: RunyardServer, tab: Page, project: str
) -> None:
    def runs() -> int:
        with server.client() as client:
            return len(client.get(f"/runs?project_id={project}").json()["items"])

    tab.goto(f"{server.url}/projects/{project}")
    tab.wait_for_function(IS_DRAWN)
    tab.keyboard.press("n")
    task = tab.get_by_test_id("task")
    expect(task).to_be_focused()
    expect(tab.get_by_test_id("prompt-template")).to_contain_text("fix-tests@")
    for part in ("branch-picker", "depth-level", "target-framework", "prompt-preview"):
        expect(tab.locator(f"[data-testid={part}]")).to_be_visible()
    tab.keyboard.press("Enter")
    expect(task).to_have_value("\n")
    assert runs() == 0
    task.fill("Reject expired coupons")
    expect(tab.get_by_test_id("prompt-preview")).to_contain_text("Reject expired coupons")
    tab.keyboard.press("Control+Enter")
    tab.wait_for_url("**/runs/run_*")
    assert runs() == 1
