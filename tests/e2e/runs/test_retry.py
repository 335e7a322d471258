"""Retry in a browser: one press is one run even if the response is lost, and work is kept."""

from __future__ import annotations

from pathlib import Path

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
    WATCH_ROWS,
    FaultFile,
    picture,
    row,
    rows_seen,
    runs_of,
)
from tests.drivers.web.visibility import barriers

RETRY = "POST /api/v1/runs/.*/retry"
# the first run leaves a commit and an uncommitted file, the next one commits the file
TWO_TRIES = [
    "/bin/sh",
    "-c",
    "if test -e left.txt; then git add -A && git commit -qm 'The rest'; else echo new > new.txt && "
    "git add new.txt && git commit -qm 'Half of it'; echo left > left.txt; exit 3; fi",
]


def died(server: RunyardServer, project: str) -> str:
    """Return the id of a run of a new issue that died and left work."""
    with server.client() as client:
        issue = client.post(f"/projects/{project}/issues", json={"title": "Round tax"}).json()
    run_id = start_run(server, project, issue=issue["number"])
    wait_until(server, run_id, status="died")
    wait_until_released(server, run_id)
    return run_id


def test_a_run_goes_on_with_what_the_one_before_left(
    signed_in: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page = signed_in
    project = add_project(server, tmp_path, TWO_TRIES, name="ledger")
    first = died(server, project)
    page.goto(f"{server.page_url}/runs/{first}")
    again = page.get_by_test_id("retry-run")
    expect(again).to_have_attribute("title", "Continues on afk/1")
    picture(page, "retry-parked")
    assert barriers(page) == []
    page.set_viewport_size({"width": 360, "height": 800})
    expect_no_sideways_scroll(page)
    picture(page, "retry-parked-360")
    again.click()
    page.wait_for_url(lambda url: "/runs/run_" in url and not url.endswith(first))
    second = wait_for_run_page(page)
    expect(page.get_by_test_id("run-status")).to_contain_text("Succeeded")
    expect(page.get_by_test_id("pr-card")).to_contain_text("Change request #2")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.get_by_role("link", name=f"retry of …{first[-6:]}").click()
    page.wait_for_url(f"**/runs/{first}")
    expect(page.get_by_role("link", name=f"Retried by …{second[-6:]}")).to_be_visible()
    expect(page.get_by_test_id("retry-run")).to_have_text("Retry again")
    # the retry took over its work: nothing is parked, so there is no fresh start to offer
    expect(page.get_by_test_id("retry-fresh")).to_be_hidden()
    page.get_by_test_id("retry-run").click()
    sentence = "Change request #2 is open: merge or close it first."
    expect(page.locator(".say")).to_contain_text(sentence)
    expect(page).to_have_url(f"{server.page_url}/runs/{first}")
    page.locator(".say").get_by_role("link", name="Open the change").click()
    page.wait_for_url(f"**/projects/{project}/changes/2")


def test_starting_again_keeps_the_old_work_under_another_name(
    signed_in: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page = signed_in
    project = add_project(server, tmp_path, TWO_TRIES, name="afresh")
    first = died(server, project)
    page.goto(f"{server.page_url}/runs/{first}")
    page.get_by_test_id("retry-fresh").click()
    page.wait_for_url(lambda url: "/runs/run_" in url and not url.endswith(first))
    second = wait_for_run_page(page)
    wait_until_released(server, second)
    page.goto(f"{server.url}/parked")
    for branch in ("afk/1", f"parked/afk/1/{first}"):
        kept = page.get_by_test_id("parked-row").and_(page.locator(f"[data-branch='{branch}']"))
        expect(kept.filter(has_text="afresh")).to_be_visible()


def test_a_retry_without_an_answer_is_pressed_again_and_is_one_run(
    signed_in: Page, server: RunyardServer, tmp_path: Path, faults: FaultFile
) -> None:
    page = signed_in
    project = add_project(server, tmp_path, TWO_TRIES, name="lost")
    first = died(server, project)
    page.goto(f"{server.page_url}/runs?project={project}")
    page.wait_for_function(IS_DRAWN)
    page.evaluate(WATCH_ROWS)
    gate = faults.gate()
    faults.set({RETRY: {"drop": "request", "gate": gate, "times": 1}})
    again = row(page, first).get_by_test_id("retry-run")
    again.click()
    expect(again).to_have_text("Retrying…")
    expect(page.locator("[data-status=submitting]")).to_contain_text(f"retry of …{first[-6:]}")
    gate.touch()
    expect(page.locator(".say")).to_contain_text("The server did not answer. Press it again")
    expect(page.locator("[data-status=submitting]")).to_have_count(0)
    assert [run["id"] for run in runs_of(server, project)] == [first]
    picture(page, "retry-unanswered")

    # the response is lost after the run was made; pressing again finds that run
    faults.set({RETRY: {"drop": "answer", "times": 1}})
    expect(again).to_have_text("Retry")
    again.click()
    expect(page.locator("[data-testid=run-row][data-run^=run_]")).to_have_count(2)
    (second,) = (run["id"] for run in runs_of(server, project) if run["id"] != first)
    wait_until(server, second, status="succeeded")
    again.click()
    expect(page.locator(".say")).to_contain_text("It runs again.")
    assert len(runs_of(server, project)) == 2
    expect(row(page, second)).to_have_attribute("data-status", "succeeded")
    expect(page.get_by_test_id("run-row")).to_have_count(2)
    assert max(rows for rows, _ in rows_seen(page)) == 2
    # none of these presses opened a row
    expect(page).to_have_url(f"{server.page_url}/runs?project={project}")


def test_a_second_retry_asks_to_be_meant_and_both_are_linked(
    signed_in: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page = signed_in
    agent = ["/bin/sh", "-c", "if test -e new.txt; then sleep 60; fi; " + TWO_TRIES[2]]
    project = add_project(server, tmp_path, agent, name="impatient")
    first = died(server, project)
    with server.client() as client:
        made = client.post(f"/runs/{first}/retry").json()["id"]
    page.goto(f"{server.page_url}/runs/{first}")
    again = page.get_by_test_id("retry-run")
    expect(again).to_have_text("Retry again")
    again.click()
    expect(page.locator(".say")).to_contain_text(f"is being retried already, as …{made[-6:]}")
    expect(again).to_have_text("Retry anyway")
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        expect_no_sideways_scroll(page)
        picture(page, f"retried-{width}")
    page.get_by_role("link", name=f"Retried by …{made[-6:]}").click()
    page.wait_for_url(f"**/runs/{made}")
    assert len(runs_of(server, project)) == 2
