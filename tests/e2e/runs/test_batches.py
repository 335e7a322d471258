"""A batch in a browser: followed live, stopped as a whole, its failures retried."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.builders.scenes import add_project, expect_no_sideways_scroll
from tests.drivers.servers.processes import RunyardServer, wait_for

AGENT = [
    "/bin/sh",
    "-c",
    'case "$0" in *fail*) exit 7;; *wait*) sleep 600;; *) exit 0;; esac',
    "{prompt}",
]


def send(server: RunyardServer, project: str, *tasks: str) -> str:
    lines = [
        json.dumps({"index": n, "task": task, "delivers": "report"}) for n, task in enumerate(tasks)
    ]
    with server.client() as api:
        body = {"project_id": project, "run_count": len(tasks)}
        batch = str(api.post("/batches", json=body).json()["id"])
        told = api.post(
            f"/batches/{batch}/items",
            content="\n".join(lines),
            headers={"Content-Type": "application/x-ndjson"},
        )
        assert told.json()["sealed"], told.text
    return batch


def test_a_batch_is_followed_stopped_and_its_failures_are_run_again(
    signed_in: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page = signed_in
    project = add_project(server, tmp_path, AGENT, name="night", max_concurrency=2)
    page.goto(f"{server.url}/runs")
    page.get_by_role("link", name="Batches").click()
    expect(page.locator(".none")).to_contain_text("runyard batch night.ndjson")

    # the row appears without a reload, and one click opens its items
    failing = send(server, project, "look", "fail")
    row = page.get_by_test_id("batch-row")
    expect(row).to_contain_text("Partly failed")
    expect(row).to_contain_text("1 delivered · 1 failed")
    row.get_by_role("link").first.click()
    expect(page.get_by_test_id("batch-sum")).to_have_text("1 delivered · 1 failed")
    with server.client() as api:
        path = f"/runs?project_id={project}&status=died"
        wait_for(api, path, lambda told: all(run["released_at"] for run in told["items"]))
    page.get_by_test_id("retry-failed").click()
    expect(page.get_by_test_id("bulk-progress")).to_have_text("Retried 1 of 1")
    expect(page.get_by_role("link", name="retried")).to_have_count(1)
    expect(page.get_by_test_id("retry-failed")).to_be_hidden()

    # two run, one waits; the second press stops all three
    waiting = send(server, project, *["wait"] * 3)
    page.goto(f"{server.url}/batches/{waiting}")
    expect(page.get_by_test_id("batch-sum")).to_have_text("2 live · 1 waiting")
    stop = page.get_by_test_id("stop-batch")
    stop.click()
    stop.click()
    expect(page.get_by_test_id("batch-sum")).to_have_text("3 stopped")
    expect(page.get_by_test_id("batch-state")).to_have_text("Aborted")

    page.set_viewport_size({"width": 360, "height": 700})
    for path in ("/batches", f"/batches/{failing}"):
        page.goto(f"{server.url}{path}")
        expect(page.locator("h1")).to_be_visible()
        expect_no_sideways_scroll(page)
