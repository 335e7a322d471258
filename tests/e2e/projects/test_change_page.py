"""A change decided on its page: merged by keyboard, sent back, closed with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.builders.repositories import commit_file, run_git
from tests.builders.scenes import (
    add_project,
    expect_no_sideways_scroll,
    start_run,
    wait_until,
    wait_until_released,
)
from tests.drivers.servers.processes import RunyardServer, wait_for
from tests.drivers.web.visibility import barriers

# writes what a review asks for; without one, its first words
AGENT = """
words=$(sed -n 's/^> Write: //p' "$RUNYARD_PROMPT_FILE")
echo "${words:-first}" >> words.txt
git add -A; git commit -qm "Write ${words:-first}"
"""


@pytest.fixture
def change(server: RunyardServer, tmp_path: Path) -> str:
    """The address of a change that closes issue #1."""
    name = f"shop-{tmp_path.name[-12:]}"
    project = add_project(server, tmp_path, ["/bin/sh", "-ec", AGENT], name=name)
    with server.client() as client:
        order = {"title": "Write <b>words</b>", "labels": ["ready-for-agent"]}
        client.post(f"/projects/{project}/issues", json=order).raise_for_status()
    run = start_run(server, project, issue=1)
    wait_until_released(server, run)
    return f"{server.url}/projects/{project}/changes/2"


def test_a_change_is_merged_by_keyboard(tab: Page, server: RunyardServer, change: str) -> None:
    page = tab
    page.goto(change)
    expect(page.get_by_test_id("change-header")).to_contain_text("Write <b>words</b>")
    expect(page.get_by_test_id("change-state")).to_have_text("In review")
    assert barriers(page) == []
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        expect_no_sideways_scroll(page)
        box = page.get_by_test_id("change-merge").bounding_box()
        assert box is not None
        if width == 390:
            assert box["y"] >= 422, "decisions are where the thumb is"
            assert box["height"] >= 44
    page.keyboard.press("m")
    dialog = page.get_by_test_id("merge-dialog")
    expect(dialog).to_contain_text("Issue #1 is closed.")
    expect(page.get_by_test_id("merge-confirm")).to_be_focused()
    page.keyboard.press("m")
    expect(page.get_by_test_id("change-state")).to_have_text("Merged")
    expect(page.get_by_test_id("toast")).to_contain_text("Merged into main")
    expect(page.get_by_test_id("change-merge")).to_be_hidden()


def test_a_merge_is_undone_by_key_and_the_file_is_as_before_at_origin(
    tab: Page, server: RunyardServer, change: str, tmp_path: Path
) -> None:
    page, path = tab, change.removeprefix(server.url)
    before = files_at(tmp_path)
    page.goto(change)
    page.keyboard.press("m")
    page.get_by_test_id("merge-confirm").click()
    expect(page.get_by_test_id("change-state")).to_have_text("Merged")
    expect(page.get_by_test_id("toast-action")).to_contain_text("Undo")
    assert "words.txt" in files_at(tmp_path)
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 844})
        expect_no_sideways_scroll(page)
        box = page.get_by_test_id("change-undo").bounding_box()
        assert box is not None
        if width == 390:
            assert box["y"] >= 422, "the decision is where the thumb is"
            assert box["height"] >= 44
    page.set_viewport_size({"width": 1280, "height": 844})
    expect(page.get_by_test_id("change-ended")).to_contain_text("Issue #1 stays closed.")
    assert barriers(page) == []

    page.keyboard.press("z")
    header = page.get_by_test_id("change-header")
    expect(header).to_contain_text('Revert "Write <b>words</b>"')
    expect(header).to_contain_text("Reverts change 2")
    expect(page.get_by_test_id("change-state")).to_have_text("In review")
    expect(page.get_by_test_id("change-request")).to_be_hidden()
    expect(page.get_by_test_id("change-write")).to_be_hidden()
    assert "words.txt" in files_at(tmp_path), "nothing changes before its merge"
    assert barriers(page) == []
    page.goto(f"{page.url}?tab=files")
    expect(page.get_by_test_id("diff-line").first).to_contain_text("first")
    expect(page.get_by_test_id("review-request")).to_be_hidden()
    page.keyboard.press("m")
    page.get_by_test_id("merge-confirm").click()
    expect(page.get_by_test_id("review-bar")).to_be_hidden()
    assert files_at(tmp_path) == before

    page.goto(change)
    expect(page.get_by_test_id("change-ended")).to_contain_text("Its revert is change 3.")
    expect(page.get_by_test_id("change-undo")).to_be_hidden()
    with server.client() as client:
        assert client.get(path).json()["undone_by"] == 3
        assert client.get(path.partition("/changes")[0] + "/issues/1").json()["state"] == "closed"


def test_a_merge_that_cannot_be_undone_says_which_file_is_in_the_way(
    tab: Page, server: RunyardServer, change: str, tmp_path: Path
) -> None:
    page = tab
    with server.client() as client:
        client.post(f"{change.removeprefix(server.url)}/merge").raise_for_status()
    page.goto(change)
    commit_file(tmp_path / "origin", "words.txt", "other\n")
    page.get_by_test_id("change-undo").click()
    expect(page.get_by_test_id("toast")).to_contain_text("Later commits changed words.txt too")
    expect(page.get_by_test_id("change-undo")).to_be_enabled()


def files_at(folder: Path) -> list[str]:
    """Return the files of origin's base."""
    return run_git(folder / "origin", "ls-tree", "-r", "--name-only", "main").split()


def test_a_change_is_sent_back_and_the_commit_appears_on_the_open_page(
    tab: Page, server: RunyardServer, change: str
) -> None:
    page = tab
    page.goto(change)
    page.keyboard.press("r")
    words = page.get_by_test_id("request-text")
    expect(words).to_be_focused()
    page.keyboard.press("ControlOrMeta+Enter")
    expect(page.get_by_test_id("form-error")).to_contain_text("You have no drafts here")
    words.fill("Write: better words")
    page.keyboard.press("ControlOrMeta+Enter")
    expect(page.get_by_test_id("toast")).to_contain_text("Sent to the agent.")
    talk = page.locator(".talk")
    expect(talk).to_contain_text("Write: better words")
    expect(talk).to_contain_text("1 commit:")
    expect(page.locator(".change-list.commits")).to_contain_text("Write better words")
    page.get_by_test_id("change-write").fill("Write: the last words")
    page.get_by_test_id("change-write-send").click()
    expect(page.locator(".change-list.commits")).to_contain_text("Write the last words")
    expect(page.get_by_test_id("change-write")).to_have_value("")


def test_a_closed_change_gives_its_issue_back_to_the_queue_with_the_reason(
    tab: Page, server: RunyardServer, change: str
) -> None:
    page, path = tab, change.removeprefix(server.url)
    project = path.split("/")[2]
    page.goto(change)
    page.keyboard.press("e")
    page.get_by_test_id("close-because").fill("Not these words.")
    expect(page.get_by_test_id("close-issue")).to_contain_text("Put issue #1 back in the queue")
    assert barriers(page, within=".sheet") == []
    page.get_by_test_id("close-confirm").click()
    expect(page.get_by_test_id("change-state")).to_have_text("Closed")
    expect(page.locator(".talk")).to_contain_text("Closed without merging: Not these words.")
    with server.client() as client:
        issue = f"/projects/{project}/issues/1"
        wait_for(client, issue, lambda one: one["claimable"])
        run = start_run(server, project, issue=1)
        wait_until(server, run, phase="done")
        [turn] = client.get(f"/runs/{run}/prompt").json()["turns"]
    assert "Not these words." in turn["text"]


def test_half_typed_text_survives_a_change_of_tabs_and_what_comes_in_meanwhile(
    tab: Page, server: RunyardServer, change: str
) -> None:
    page, path = tab, change.removeprefix(server.url)
    page.goto(change)
    box, tabs = page.get_by_test_id("change-write"), page.get_by_role("navigation", name="Change 2")
    box.fill("Write: half a")
    with server.client() as client:
        client.post(f"{path}/request-changes", json={"text": "Write: more"}).raise_for_status()
    expect(page.locator(".change-list.commits")).to_contain_text("Write more")
    expect(box).to_have_value("Write: half a")
    tabs.get_by_role("link", name="Files").click()
    line = page.get_by_test_id("diff-line").first
    line.hover()
    line.get_by_test_id("line-add").click()
    page.get_by_test_id("line-comment").fill("Half a comment")
    tabs.get_by_role("link", name="Runs").click()
    page.get_by_test_id("change-run").first.wait_for()
    tabs.get_by_role("link", name="Files").click()
    expect(page.get_by_test_id("line-comment")).to_have_value("Half a comment")
    page.get_by_test_id("add-to-review").click()
    expect(page.get_by_test_id("review-count")).to_have_text("1 comment not sent yet")
    tabs.get_by_role("link", name="Conversation").click()
    expect(box).to_have_value("Write: half a")
    page.get_by_test_id("change-write-send").click()
    expect(page.locator(".change-list.commits")).to_contain_text("Write half a")
    # what was added or sent is not half typed any more
    for name, mark in (("Files", "line-comment"), ("Conversation", "change-write")):
        tabs.get_by_role("link", name=name).click()
        page.get_by_test_id("change-header").wait_for()
        if mark == "change-write":
            expect(box).to_have_value("")
        else:
            expect(page.get_by_test_id("review-comment")).to_be_visible()
            expect(page.get_by_test_id(mark)).to_have_count(0)
