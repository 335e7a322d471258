"""A server killed while an agent works or a form is open: neither run nor input is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.builders.repositories import run_git
from tests.builders.scenes import (
    Puppet,
    add_project,
    start_run,
    stop_here,
    wait_for_run_page,
    wait_until,
    wait_until_released,
)
from tests.drivers.servers.processes import RunyardServer
from tests.drivers.web.submits import key_of, open_form, picture, runs_of
from tests.e2e.conftest import Consoles

LOST_LINK = "ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_INTERNET_DISCONNECTED|WebSocket|Failed to fetch"


@pytest.fixture(scope="module")
def is_shared() -> bool:
    """The server is killed."""
    return False


@pytest.fixture
def puppet(tmp_path: Path) -> Puppet:
    """The agent of the test's project."""
    return Puppet(tmp_path / "agent")


def test_a_killed_server_loses_neither_the_run_nor_the_page(
    signed_in: Page, server: RunyardServer, tmp_path: Path, puppet: Puppet, consoles: Consoles
) -> None:
    page = signed_in
    project = add_project(server, tmp_path, puppet.argv)
    run_id = start_run(server, project)
    page.goto(f"{server.url}/runs/{run_id}")
    log = page.get_by_test_id("run-log")
    puppet.tell("say before the crash")
    expect(log).to_contain_text("before the crash")

    consoles.expect(LOST_LINK)
    server.kill()
    badge = page.get_by_test_id("live-badge")
    expect(badge).to_have_text("Reconnecting…")
    puppet.tell("say while nobody listened")
    server.start()
    expect(badge).to_have_text("Live")
    expect(page.get_by_test_id("run-status")).to_contain_text("Running")
    puppet.tell("say after the crash")
    for words in ("ready", "before the crash", "while nobody listened", "after the crash"):
        expect(log.get_by_text(words, exact=True)).to_have_count(1)
    puppet.tell_to_deliver("kept.txt", "kept")
    expect(page.get_by_test_id("run-status")).to_contain_text("Succeeded")
    expect(page.get_by_test_id("pr-card")).to_contain_text("#1")
    page.get_by_test_id("merge").click()
    expect(page.get_by_test_id("pr-card")).to_contain_text("Merged")
    assert run_git(tmp_path / "origin", "show", "main:kept.txt") == "kept"
    with server.client() as client:
        assert len(client.get("/runs", params={"project_id": project}).json()["items"]) == 1


def test_a_restarted_server_finds_the_form_as_it_was_left_with_its_key(
    signed_in: Page, server: RunyardServer, tmp_path: Path, puppet: Puppet, consoles: Consoles
) -> None:
    page = signed_in
    project = add_project(server, tmp_path, puppet.argv, name="restart", branches=["dev"])
    open_form(page, server, project)
    key = key_of(page)
    page.get_by_test_id("branch-picker").fill("de")
    page.get_by_role("option", name="dev").click()
    expect(page.get_by_test_id("branch-picker")).to_have_value("dev")
    page.get_by_test_id("depth-level").get_by_role("radio", name="deep").click()
    page.get_by_test_id("task").fill("Typed before the crash")

    consoles.expect(LOST_LINK)
    server.kill()
    expect(page.get_by_test_id("live-badge")).to_have_text("Reconnecting…")
    expect(page.get_by_text("What you type is kept in this tab")).to_be_visible()
    # Run is inert: a queued press would start an unexpected run later
    assert page.get_by_test_id("run-submit").evaluate("(e) => Boolean(e.closest('[inert]'))")
    page.get_by_test_id("task").press_sequentially(", and after it")
    page.get_by_test_id("run-options").locator("summary").click()
    page.get_by_test_id("model-picker").fill("m1")
    picture(page, "new-run-not-connected")
    server.start()
    expect(page.get_by_test_id("form-restored")).to_be_visible()
    picture(page, "new-run-restored")
    expect(page.get_by_test_id("task")).to_have_value("Typed before the crash, and after it")
    expect(page.get_by_test_id("model-picker")).to_have_value("m1")
    expect(page.get_by_test_id("branch-picker")).to_have_value("dev")
    deep = page.get_by_test_id("depth-level").get_by_role("radio", name="deep")
    expect(deep).to_have_attribute("aria-checked", "true")
    assert key_of(page) == key

    page.get_by_test_id("run-submit").click()
    run_id = wait_for_run_page(page)
    (listed,) = runs_of(server, project)
    run = wait_until(server, run_id, id=listed["id"])
    told = (run["task"], run["branch"], run["depth_level"], run["model"])
    assert told == ("Typed before the crash, and after it", "dev", "deep", "m1")
    with server.client() as client:
        order = {"project_id": project, "task": "something else"}
        answer = client.post("/runs", json=order, headers={"x-idempotency-key": key})
        assert answer.json()["run_id"] == run_id, "the run was not made with the form's key"
    stop_here(page)
    wait_until_released(server, run_id)
    page.go_back()
    expect(page.get_by_test_id("task")).to_have_value("")
    assert key_of(page) != key, "a form that made its run is forgotten"
