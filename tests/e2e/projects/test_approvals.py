"""Approvals in a browser: a start on the run's page and in the list, a merge on the change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.builders.scenes import add_project, start_run, wait_until_released
from tests.drivers.servers.processes import RunyardServer, wait_for
from tests.drivers.web.visibility import barriers, flaws
from tests.e2e.runs.test_sandbox_levels import choose

ADDS = "echo words > guide.md; git add -A; git commit -qm 'Add a guide'"
EMPTY = "All clear — no pending approvals"


def ended(server: RunyardServer, run_id: str) -> dict[str, Any]:
    """Wait until a run is released and return it."""
    wait_until_released(server, run_id)
    with server.client() as client:
        return dict(client.get(f"/runs/{run_id}").json())


def test_starts_are_approved_and_rejected_where_they_wait(
    signed_in: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page = signed_in
    page.goto(f"{server.url}/approvals")
    expect(page.get_by_test_id("approvals-none")).to_contain_text(EMPTY)
    project = add_project(server, tmp_path, ["sh", "-c", ADDS], name="asks first")
    page.goto(f"{server.url}/projects/{project}?tab=settings")
    choose(page, "setting-approve_start", "A person approves it")
    page.get_by_test_id("setting-approval_days").fill("3")
    page.get_by_test_id("save-settings").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.get_by_test_id("nav-approvals").click()
    expect(page.get_by_test_id("approvals-none")).to_be_visible()
    # what is asked for appears by itself
    runs = [start_run(server, project, task=f"Write guide {number}") for number in (1, 2)]
    rows = page.get_by_test_id("approval-row")
    expect(rows).to_have_count(2)
    assert flaws(page, 1440) == []
    assert barriers(page) == []
    row = rows.filter(has_text="Write guide 2")
    row.get_by_test_id("reject").click()
    expect(row.get_by_test_id("approval-error")).to_have_text("Say why, for the person who asked.")
    row.get_by_test_id("approval-comment").fill("Not this one")
    row.get_by_test_id("reject").click()
    expect(rows).to_have_count(1)
    assert ended(server, runs[1])["cause"] == "approval_refused"
    page.goto(f"{server.url}/")
    item = page.get_by_test_id("inbox-item").filter(has_text="Write guide 1")
    expect(item).to_have_attribute("data-kind", "approval")
    page.goto(f"{server.url}/runs/{runs[0]}")
    box = page.get_by_test_id("approval")
    expect(box).to_contain_text("This run starts once it is approved.")
    box.get_by_test_id("approve").click()
    expect(box).to_be_hidden()
    wait_until_released(server, runs[0])
    page.goto(f"{server.url}/approvals")
    expect(page.get_by_test_id("approvals-none")).to_contain_text(EMPTY)


def test_a_merge_says_what_it_lacks_and_refusals_stand_beside_it(
    signed_in: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page = signed_in
    project = add_project(server, tmp_path, ["sh", "-c", ADDS], name="asks at the end")
    with server.client() as client:
        client.patch(f"/projects/{project}", json={"approve_merge": 1}).raise_for_status()
    run = ended(server, start_run(server, project, task="Write a guide"))
    number = run["delivery"]["number"]
    with server.client() as client:
        wait_for(client, "/approvals", lambda found: found["items"])
    page.goto(f"{server.url}/projects/{project}/changes/{number}")
    box = page.get_by_test_id("approval")
    expect(box).to_contain_text("This change needs 1 approval before it is merged.")
    box.get_by_test_id("approve").click()
    error = box.get_by_test_id("approval-error")
    expect(error).to_contain_text("there is no other person here who could approve it")
    merge = page.get_by_test_id("change-merge").first
    expect(merge).to_have_attribute("aria-disabled", "true")
    expect(page.get_by_text("It needs 1 more approval.")).to_be_visible()
    box.get_by_test_id("approval-comment").fill("The wrong file")
    box.get_by_test_id("reject").click()
    expect(box).to_contain_text("The wrong file")
    expect(box.get_by_test_id("approve")).to_be_hidden()
    expect(page.get_by_text("Its merge was rejected.")).to_be_visible()
    with server.client() as client:
        client.patch(f"/projects/{project}", json={"approve_merge": 0}).raise_for_status()
    expect(merge).to_have_attribute("aria-disabled", "false")
    expect(box).to_be_hidden()


@pytest.mark.parametrize("width", [390, 1440])
def test_an_approval_can_be_answered_at_every_width(
    signed_in: Page, server: RunyardServer, tmp_path: Path, width: int
) -> None:
    page = signed_in
    name = f"asks at {width}"
    project = add_project(server, tmp_path, ["sh", "-c", ADDS], name=name)
    with server.client() as client:
        client.patch(f"/projects/{project}", json={"approve_start": True}).raise_for_status()
    run = start_run(server, project, task=f"Guide for {width}")
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{server.url}/approvals")
    row = page.get_by_test_id("approval-row").filter(has_text=f"Guide for {width}")
    row.get_by_test_id("approve").click()
    expect(row).to_be_hidden()
    assert ended(server, run)["status"] == "succeeded"
