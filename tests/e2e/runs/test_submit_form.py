"""The new run form: many branches, the keyboard alone, each refusal's message."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, WebSocket, expect

from tests.builders.scenes import (
    Puppet,
    add_project,
    start_run,
    tab_to,
    wait_for_run_page,
    wait_until,
    wait_until_released,
)
from tests.drivers.servers.processes import RunyardServer
from tests.drivers.web.submits import key_of, open_form, picture, runs_of, stop_runs
from tests.drivers.web.visibility import barriers

BRANCHES = 2000
FAST_SECONDS = 3.0  # from the last key until one branch is left, allowing for a busy machine
FULL = "This repository is at maximum concurrency. Wait for an active run to complete and retry."


@pytest.fixture
def puppet(tmp_path: Path) -> Puppet:
    """The agent of the test's project."""
    return Puppet(tmp_path / "agent")


def test_two_thousand_branches_are_searched_without_lag_and_without_asking(
    signed_in: Page, server: RunyardServer, tmp_path: Path, puppet: Puppet
) -> None:
    page, asked = signed_in, list[str]()
    names = [f"topic/{number:04d}" for number in range(BRANCHES)]
    project = add_project(server, tmp_path, puppet.argv, name="branches", branches=names)

    def watch(socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: asked.append(str(frame)))

    def hear(request: Request) -> None:
        asked.append(request.url)

    page.on("websocket", watch)
    open_form(page, server, project)
    picker = page.get_by_test_id("branch-picker")
    expect(picker).to_have_value("main")
    expect(page.get_by_text("Search 2001 branches")).to_be_visible()
    picker.click()
    expect(page.get_by_role("option").first).to_have_text("main")
    page.on("request", hear)
    asked.clear()
    picker.press_sequentially("topic/199")
    began = time.monotonic()
    picker.press_sequentially("7")
    expect(page.get_by_role("option")).to_have_text(["topic/1997"])
    assert time.monotonic() - began < FAST_SECONDS
    assert [one for one in asked if "event" in one or "http" in one] == []
    picture(page, "new-run-branches")
    page.get_by_role("option").click()
    expect(picker).to_have_value("topic/1997")


def test_the_keyboard_alone_fills_the_form_and_starts_the_run(
    signed_in: Page, server: RunyardServer, tmp_path: Path, puppet: Puppet
) -> None:
    page = signed_in
    project = add_project(server, tmp_path, puppet.argv, name="keys", branches=["dev"])
    other = add_project(server, tmp_path / "other", puppet.argv, name="not by keys")
    page.goto(f"{server.url}/projects")
    expect(page.get_by_test_id("new-run-anywhere")).to_be_visible()
    keys = page.keyboard
    keys.press("n")
    expect(page.locator(f"[data-testid=run-in][data-project='{other}']")).to_be_visible()
    tab_to(page, page.locator(f"[data-testid=run-in][data-project='{project}']"))
    keys.press("Enter")
    dialog = page.get_by_role("dialog", name="New run")
    picker = dialog.get_by_test_id("branch-picker")
    expect(dialog.get_by_test_id("task")).to_be_focused()
    keys.type("Typed without a mouse")
    keys.press("Tab")
    expect(picker).to_be_focused()
    keys.type("dev")
    expect(page.get_by_role("option")).to_have_text(["dev"])
    keys.press("ArrowDown")
    keys.press("Enter")
    expect(picker).to_have_value("dev")
    keys.press("Tab")
    depth = page.get_by_test_id("depth-level")
    expect(depth.get_by_role("radio", name="standard")).to_be_focused()
    keys.press("ArrowRight")
    deep = depth.get_by_role("radio", name="deep")
    expect(deep).to_be_focused()
    expect(deep).to_have_attribute("aria-checked", "true")
    keys.press("Tab")
    expect(page.get_by_role("combobox", name="Target framework")).to_be_focused()
    keys.press("Tab")
    expect(dialog.get_by_role("combobox", name="Issue (optional)")).to_be_focused()
    keys.press("Tab")
    expect(page.get_by_test_id("agent-picker")).to_be_focused()
    keys.press("Enter")
    chosen = page.locator("[data-testid=agent-option][aria-selected=true]")
    expect(chosen).to_be_focused()
    # the machine has been looked at: there is more than the project's own agent
    expect(page.get_by_test_id("agent-option").nth(1)).to_be_visible()
    keys.press("ArrowDown")
    expect(page.get_by_test_id("agent-option").nth(1)).to_be_focused()
    keys.press("Escape")
    expect(page.get_by_test_id("agent-picker")).to_be_focused()
    keys.press("Tab")
    expect(page.get_by_test_id("run-options").locator("summary")).to_be_focused()
    keys.press("Tab")
    expect(page.get_by_test_id("prompt-preview").locator("pre")).to_be_focused()
    keys.press("Tab")
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    keys.press("Tab")
    expect(page.get_by_test_id("run-submit")).to_be_focused()
    dialog.get_by_test_id("task").focus()
    keys.press("ControlOrMeta+Enter")
    run_id = wait_for_run_page(page)
    run = wait_until(server, run_id, status="running")
    told = (run["branch"], run["depth_level"], run["task"])
    assert told == ("dev", "deep", "Typed without a mouse")
    puppet.tell("exit 0")
    wait_until_released(server, run_id)


def test_a_full_repository_is_said_inline_and_the_chip_copies_the_whole_id(
    signed_in: Page, server: RunyardServer, tmp_path: Path, puppet: Puppet
) -> None:
    page = signed_in
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    project = add_project(server, tmp_path, puppet.argv, name="full", max_concurrency=1)
    running = start_run(server, project)
    open_form(page, server, project, "?task=kept")
    page.get_by_test_id("depth-level").get_by_role("radio", name="quick").click()
    page.get_by_test_id("run-submit").click()
    error = page.get_by_test_id("form-error")
    expect(error).to_contain_text(FULL)
    expect(error.locator("time")).to_have_count(0)
    expect(page.get_by_test_id("task")).to_have_value("kept")
    expect(page.get_by_role("radio", name="quick")).to_have_attribute("aria-checked", "true")
    expect(page.get_by_test_id("run-submit")).to_be_enabled()
    picture(page, "new-run-concurrency-limit")
    assert barriers(page) == []
    chip = error.get_by_test_id("correlation-chip")
    expect(chip).to_have_text(re.compile(r"^corr \w{4}…\w{2}$"))
    chip.click()
    expect(chip).to_have_attribute("data-copied", "1")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == chip.get_attribute("data-copy")
    assert copied in server.log, "the id does not lead to the log"
    # once the repository is free, the same press starts the run
    puppet.tell("exit 0")
    wait_until_released(server, running)
    page.get_by_test_id("run-submit").click()
    run = wait_until(server, wait_for_run_page(page), task="kept")
    assert run["depth_level"] == "quick"
    puppet.tell("exit 0")
    wait_until_released(server, run["id"])


def test_a_form_begins_anew_with_a_key_of_its_own_also_where_its_run_exists(
    signed_in: Page, server: RunyardServer, tmp_path: Path, puppet: Puppet
) -> None:
    page = signed_in
    project = add_project(server, tmp_path, puppet.argv, name="reused")
    open_form(page, server, project)
    keys, task = [key_of(page)], page.get_by_test_id("task")
    task.fill("half a sentence")
    page.get_by_test_id("run-options").locator("summary").click()
    template = page.get_by_role("combobox", name="Template")
    template.click()
    page.get_by_role("option", name="fix-tests", exact=True).click()
    page.reload()
    restored = page.get_by_test_id("form-restored")
    expect(restored).to_be_visible()
    expect(task).to_have_value("half a sentence")
    expect(template).to_have_value("fix-tests")
    assert key_of(page) == keys[0]
    page.get_by_test_id("form-reset").click()
    expect(restored).to_have_count(0)
    expect(task).to_have_value("")
    # a form that was left empty is no draft: opened again, it is another one
    keys.append(key_of(page))
    open_form(page, server, project)
    expect(restored).to_have_count(0)
    keys.append(key_of(page))
    with server.client() as client:
        order = {"project_id": project, "task": "the answer to this was lost", "delay": 86_400}
        own = {"x-idempotency-key": keys[-1]}
        first = client.post("/runs", json=order, headers=own).json()["id"]
    task.fill("something else")
    page.get_by_test_id("run-submit").click()
    error = page.get_by_test_id("form-error")
    expect(error).to_contain_text("This form has already started a run.")
    expect(error.get_by_role("link")).to_have_attribute("href", f"/runs/{first}")
    picture(page, "new-run-key-reused")
    assert barriers(page) == []
    error.get_by_role("button", name="Reset form").click()
    expect(task).to_have_value("")
    expect(error).to_have_count(0)
    keys.append(key_of(page))
    assert len(set(keys)) == len(keys)
    page.get_by_test_id("run-submit").click()
    second = wait_for_run_page(page)
    assert {run["id"] for run in runs_of(server, project)} == {first, second}
    stop_runs(server, project)


def test_an_issue_is_run_from_its_page_in_a_dialog_over_it(
    signed_in: Page, server: RunyardServer, tmp_path: Path, puppet: Puppet
) -> None:
    page = signed_in
    project = add_project(server, tmp_path, puppet.argv, name="dialog")
    with server.client() as client:
        issue = {"title": "Round tax", "labels": ["ready-for-agent"]}
        client.post(f"/projects/{project}/issues", json=issue)
    page.goto(f"{server.url}/projects/{project}/issues/1")
    dialog, keys = page.get_by_role("dialog", name="New run"), list[str | None]()
    for _ in range(2):
        page.get_by_test_id("run-issue").click()
        expect(dialog.get_by_test_id("run-submit")).to_be_enabled()
        keys.append(dialog.get_by_title("Key ").get_attribute("title"))
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
    assert keys[0] != keys[1], "a form that is opened anew has a key of its own"
    page.get_by_test_id("run-issue").click()
    expect(dialog.get_by_text("#1 Round tax")).to_be_visible()
    picture(page, "new-run-dialog")
    assert barriers(page, within=".q-dialog") == []
    dialog.get_by_test_id("run-submit").click()
    run_id = wait_for_run_page(page)
    assert wait_until(server, run_id, status="running")["issue"] == 1
    puppet.tell("exit 0")
    wait_until_released(server, run_id)
