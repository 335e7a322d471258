"""A merge in a browser that the secret check refuses: confirmed, then done."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.builders.scenes import (
    add_project,
    expect_no_sideways_scroll,
    start_run,
    wait_until,
    wait_until_released,
)
from tests.drivers.servers.processes import RunyardServer

VALUE = "tomorrows-key-4711-0815"
COMMITS = f"echo 'key: {VALUE}' > app.yml && git add -A && git commit -qm 'Configure'"


@pytest.fixture(scope="module")
def is_shared() -> bool:
    """The server is started again with another secret."""
    return False


def test_a_merge_that_a_check_refuses_can_be_had_anyway(
    signed_in: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page = signed_in
    projects = [
        add_project(server, tmp_path / name, ["/bin/sh", "-c", COMMITS], name=name)
        for name in ("shop", "barn")
    ]
    shop, barn = ((project, delivered(server, project)) for project in projects)
    # the work delivered above contains a secret once this key is set
    page.goto("about:blank")
    server.stop()
    server.settings["ANTHROPIC_API_KEY"] = VALUE
    server.start()

    # on the change's page
    page.goto(f"{server.url}/projects/{shop[0]}/changes/2")
    merge = page.get_by_test_id("change-merge")
    merge.click()
    page.get_by_test_id("merge-confirm").click()
    dialog = page.get_by_test_id("push-anyway-dialog")
    expect(dialog).to_contain_text("Merge afk/1 anyway?")
    expect(dialog).to_contain_text("app.yml line 1 of commit")
    expect(dialog).to_contain_text("contains a secret (ANTHROPIC_API_KEY).")
    dialog.get_by_test_id("keep").click()
    expect(dialog).to_be_hidden()
    expect(merge).to_be_enabled()
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        expect_no_sideways_scroll(page)
    merge.click()
    page.get_by_test_id("merge-confirm").click()
    sure = dialog.get_by_test_id("push-anyway-confirm")
    expect(sure).to_have_text("Merge anyway")
    sure.click()
    expect(page.get_by_test_id("change-state")).to_have_text("Merged")

    # on the run's page, for work already delivered
    page.goto(f"{server.url}/runs/{barn[1]}")
    card = page.get_by_test_id("pr-card")
    card.get_by_test_id("merge").click()
    expect(dialog).to_contain_text("Merge afk/1 anyway?")
    sure.click()
    expect(card).to_contain_text("Merged")
    assert VALUE not in page.content()
    with server.client() as client:
        states = [client.get(f"/runs/{one[1]}").json()["delivery"]["state"] for one in (shop, barn)]
    assert states == ["merged", "merged"]


def delivered(server: RunyardServer, project: str) -> str:
    """Return the id of a run of a new issue that opened a change request."""
    with server.client() as client:
        issue = {"title": "Configure it", "labels": ["ready-for-agent"]}
        number = client.post(f"/projects/{project}/issues", json=issue).json()["number"]
    run_id = start_run(server, project, issue=number)
    wait_until(server, run_id, status="succeeded")
    wait_until_released(server, run_id)
    return run_id
