"""Parked work in a browser: delivered, discarded by name, pushed past the secret check."""

from __future__ import annotations

import subprocess
from pathlib import Path

from playwright.sync_api import FloatRect, Locator, Page, expect

from tests.builders.scenes import (
    add_project,
    expect_no_sideways_scroll,
    start_run,
    wait_until,
    wait_until_released,
)
from tests.drivers.servers.processes import RunyardServer

DIES_WITH_A_COMMIT = [
    "/bin/sh",
    "-c",
    "echo new > new.txt && git add -A && git commit -qm 'Half of it'; echo left > left.txt; exit 3",
]


def test_what_a_dead_run_left_is_delivered_or_discarded(
    signed_in: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page = signed_in
    project = add_project(server, tmp_path, DIES_WITH_A_COMMIT, name="kept-book")
    page.goto(f"{server.url}/projects")
    first, second = (keep(server, project, title) for title in ("Round tax", "Export it"))
    page.goto(f"{server.url}/parked")
    listed = page.get_by_test_id("parked-row").filter(has_text="kept-book")
    expect(listed).to_have_count(2)
    assert branches_kept(server, project) == ["afk/1", "afk/2"]

    # deliver the first run's work as a change request
    page.goto(f"{server.url}/runs/{first}")
    card = page.get_by_test_id("pr-card")
    expect(card).to_contain_text("It left 1 commit, 1 file not committed.")
    card.get_by_test_id("deliver").click()
    expect(card).to_contain_text("Change request #3")
    expect(page.get_by_test_id("run-status")).to_contain_text("Died")
    expect(card.get_by_test_id("deliver")).to_be_hidden()

    # discard the second run's work, which takes its name
    page.locator(".banner a", has_text="parked").click()
    page.wait_for_url("**/parked")
    row = kept(page, "afk/2").filter(has_text="kept-book")
    delivered = kept(page, "afk/1").filter(has_text="kept-book")
    expect(row).to_contain_text("1 commit, 1 file not committed")
    expect(delivered).to_contain_text("holds more than change request #3")
    # the buttons are aligned, also in a row that has nothing to deliver
    buttons = [place(one.get_by_test_id("discard")) for one in (row, delivered)]
    ends = [box["x"] + box["width"] for box in buttons]
    assert abs(ends[0] - ends[1]) < 1
    row.get_by_test_id("discard").click()
    dialog = page.get_by_test_id("discard-dialog")
    expect(dialog).to_contain_text("No safety checks apply and there is no undo.")
    name, sure = dialog.get_by_test_id("discard-branch"), dialog.get_by_test_id("discard-confirm")
    name.fill("afk/1")
    name.press("Enter")
    expect(dialog.get_by_test_id("field-error")).to_have_text("This is not the branch name.")
    expect(sure).to_be_disabled()
    name.fill("afk/2")
    expect(sure).to_be_enabled()
    sure.click()
    expect(row).to_have_count(0)
    expect(page.locator(".say")).to_contain_text("afk/2 was deleted.")
    assert branches_kept(server, project) == ["afk/1"]
    with server.client() as client:
        issues = client.get(f"/projects/{project}/issues").json()["items"]
        assert {one["number"]: one["claimable"] for one in issues} == {1: False, 2: True}
        assert client.get(f"/runs/{second}").json()["parked"] is False

    page.set_viewport_size({"width": 360, "height": 800})
    expect_no_sideways_scroll(page)
    expect(delivered.get_by_test_id("discard")).to_be_visible()


def test_work_with_a_secret_is_pushed_only_after_it_was_asked_about(
    signed_in: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page = signed_in
    commits = f"echo 'token: {server.token}' > app.yml && git add -A && git commit -qm 'Configure'"
    project = add_project(server, tmp_path, ["/bin/sh", "-c", commits], name="leaky")
    run_id = keep(server, project, "Configure it")

    page.goto(f"{server.url}/parked")
    # the other test left a branch of the same name in another project
    row = kept(page, "afk/1").filter(has_text="leaky")
    expect(row).to_contain_text("app.yml line 1 of commit")
    push = row.get_by_test_id("deliver")
    expect(push).to_have_text("Push anyway…")
    push.click()
    dialog = page.get_by_test_id("push-anyway-dialog")
    expect(dialog).to_contain_text("contains a secret (Runyard's token).")
    dialog.get_by_test_id("keep").click()
    expect(dialog).to_be_hidden()
    expect(push).to_be_enabled()

    # the run's page asks the same
    page.goto(f"{server.url}/runs/{run_id}")
    card = page.get_by_test_id("pr-card")
    expect(card.get_by_test_id("deliver")).to_have_text("Push anyway…")
    card.get_by_test_id("deliver").click()
    page.get_by_test_id("push-anyway-confirm").click()
    expect(card).to_contain_text("Change request #2")
    assert server.token not in page.content()


def test_work_that_cannot_be_checked_is_asked_about_before_it_is_pushed(
    signed_in: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page = signed_in
    commit = "git add -A && git commit -qm Work"
    twice = f"echo one > new.txt && {commit} && echo two > new.txt && {commit}; exit 3"
    project = add_project(server, tmp_path, ["/bin/sh", "-c", twice], name="torn")
    run_id = keep(server, project, "Write it twice")

    page.goto(f"{server.url}/runs/{run_id}")
    deliver = page.get_by_test_id("pr-card").get_by_test_id("deliver")
    expect(deliver).to_be_visible()
    lose_blob(server.data_dir / "runs" / "mirrors" / f"{project}.git", "afk/1~1:new.txt")
    deliver.click()
    dialog = page.get_by_test_id("push-anyway-dialog")
    expect(dialog).to_contain_text("Push afk/1 anyway?")
    expect(dialog).to_contain_text("could not be checked for secrets and large files")
    expect(dialog).to_contain_text("a file that is too large is not known.")
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        expect_no_sideways_scroll(page)
    dialog.get_by_test_id("keep").click()
    expect(dialog).to_be_hidden()
    expect(deliver).to_be_enabled()


def lose_blob(mirror: Path, name: str) -> None:
    """Delete one object from a mirror, after unpacking its packs."""
    git = ["git", "--git-dir", str(mirror)]
    blob = subprocess.check_output([*git, "rev-parse", name], text=True).strip()
    for pack in (mirror / "objects" / "pack").glob("*.pack"):
        moved = pack.rename(mirror / "moved")
        pack.with_suffix(".idx").unlink()
        with moved.open("rb") as objects:
            subprocess.run([*git, "unpack-objects", "-q"], stdin=objects, check=True)
    (mirror / "objects" / blob[:2] / blob[2:]).unlink()


def keep(server: RunyardServer, project: str, title: str) -> str:
    """Return the id of a run of a new issue that died and left work."""
    with server.client() as client:
        issue = {"title": title, "labels": ["ready-for-agent"]}
        number = client.post(f"/projects/{project}/issues", json=issue).json()["number"]
    run_id = start_run(server, project, issue=number)
    wait_until(server, run_id, status="died")
    wait_until_released(server, run_id)
    return run_id


def branches_kept(server: RunyardServer, project: str | None = None) -> list[str]:
    """Return the branches of parked work, of one project or of all, in order."""
    with server.client() as client:
        items = client.get("/parked").json()["items"]
    return sorted(one["branch"] for one in items if project in (None, one["project_id"]))


def kept(page: Page, branch: str) -> Locator:
    """Locate the row of a parked branch."""
    return page.locator(f"[data-testid=parked-row][data-branch='{branch}']")


def place(element: Locator) -> FloatRect:
    """Return the bounding box of a visible element."""
    box = element.bounding_box()
    assert box
    return box
