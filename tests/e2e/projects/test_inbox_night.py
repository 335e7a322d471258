"""The morning after: what a night left is worked off from the inbox, by keys or by thumb alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.builders.scenes import add_project, expect_no_sideways_scroll, wait_until_released
from tests.drivers.servers.processes import RunyardServer, wait_for
from tests.drivers.web.visibility import barriers
from tests.e2e.conftest import OpenPage

pytestmark = pytest.mark.soak
# does what its issue says: fails, writes into the file that others write too, or into its own
AGENT = r"""
task=$(cat "$1")
commit() {
    git add -A
    git -c user.name=Agent -c user.email=agent@example.test commit -qm "Work"
}
case "$task" in
    *"please fail"*) echo "Traceback: no such table"; exit 7 ;;
    *"please collide"*) echo "$RUNYARD_BRANCH" > shared.txt; commit ;;
    *) echo "$task" > "$(echo "$RUNYARD_BRANCH" | tr / -).txt"; commit ;;
esac
"""
CHECKS = [{"name": "Tests", "command": ["true"], "timeout_seconds": 60, "required": True}]
NIGHT = (
    ("Refuse expired coupons", "please succeed"),
    ("Round tax per line", "please collide"),
    ("Show tax on receipts", "please collide"),
    ("Document the refund webhook", "please succeed"),
)


def spend_night(server: RunyardServer, folder: Path, name: str) -> str:
    """Have issues worked on, three of which fail in a row; return the project's id."""
    script = folder / "agent.sh"
    script.write_text(AGENT)
    argv = ["/bin/sh", "-e", str(script), "{prompt_file}"]
    project = add_project(server, folder, argv, name=name, checks=CHECKS)
    failing = [(f"Fix the export, part {part}", "please fail") for part in (1, 2, 3)]
    with server.client() as client:
        for title, body in (*NIGHT, *failing):
            issue = {"title": title, "body": body, "labels": ["ready-for-agent"]}
            number = client.post(f"/projects/{project}/issues", json=issue).json()["number"]
            answer = client.post(f"/projects/{project}/afk/start", json={"issue": number})
            assert answer.status_code == 201, answer.text
            wait_until_released(server, answer.json()["id"])
        of_it = lambda it: [one for one in it["items"] if one["project_id"] == project]  # noqa: E731
        wait_for(client, "/inbox", lambda it: len(of_it(it)) == 8)
    return project


def rows(page: Page, kind: str = "change") -> Locator:
    """Locate the rows of a kind."""
    return page.locator(f"[data-testid=inbox-item][data-kind={kind}]")


def selected(page: Page) -> Locator:
    """Locate the selected row."""
    return page.locator("[data-testid=inbox-item][aria-selected=true]")


def test_a_night_is_worked_off_by_keys_alone(
    tab: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page, keys = tab, tab.keyboard
    project = spend_night(server, tmp_path, "ledger")
    page.goto(server.url)
    preview, dialog = page.get_by_test_id("inbox-preview"), page.locator(".q-dialog")
    expect(page.get_by_test_id("night-report")).to_contain_text("4 delivered · 3 failed")
    expect(page).to_have_title("(1) Inbox · Runyard")
    expect(selected(page)).to_contain_text("ledger is paused: 3 failures in a row")
    expect(selected(page)).to_contain_text("#11")
    assert barriers(page) == []
    keys.press("m")
    expect(rows(page, "paused")).to_have_count(0)
    expect(page).to_have_title("Inbox · Runyard")

    # a row shows its button in place of its age while it is pointed at, and no other row does
    rows(page).first.hover()
    expect(rows(page).nth(0).get_by_test_id("inbox-action")).to_have_css("opacity", "1")
    expect(rows(page).nth(1).get_by_test_id("inbox-action")).to_have_css("opacity", "0")

    # the newest change took its place: look at it, and merge it
    expect(selected(page)).to_contain_text("Document the refund webhook")
    expect(preview).to_contain_text("1 of 4")
    expect(preview).to_contain_text("afk-7.txt")
    expect(preview).to_contain_text("all 1 passed")
    keys.press("m")
    expect(dialog).to_contain_text("Merge into main?")
    keys.press("m")
    expect(page.get_by_test_id("toast")).to_contain_text("Merged into main")
    expect(rows(page)).to_have_count(3)

    # the rest together: the second of those that collide stops it
    expect(preview).to_contain_text("1 of 3")
    for place in (1, 2, 3):
        expect(preview).to_contain_text(f"{place} of 3")
        keys.press("x")
        expect(page.get_by_test_id("bulk-count")).to_have_text(f"{place} selected")
        keys.press("j")
    keys.press("m")
    expect(page.get_by_test_id("bulk-bar")).to_contain_text(
        "Stopped at “Show tax on receipts”: conflicts in shared.txt. 2 merged, 1 left."
    )
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("Conflicts")

    # what conflicts goes back with a reason
    keys.press("e")
    expect(dialog).to_contain_text("Close without merging?")
    expect(page.get_by_test_id("close-because")).to_be_focused()
    keys.type("Take the rounding of #3.")
    for _ in range(8):
        if page.evaluate("document.activeElement?.dataset.testid") == "close-confirm":
            break
        keys.press("Tab")
    keys.press("Enter")
    expect(rows(page)).to_have_count(0)
    with server.client() as client:
        changes = client.get(f"/projects/{project}/changes").json()["items"]
    assert sorted(one["state"] for one in changes) == ["closed", *["merged"] * 3]
    assert [one["closed_because"] for one in changes if one["state"] == "closed"] == [
        "Take the rounding of #3."
    ]


def test_a_night_is_worked_off_on_a_phone(
    sign_in: OpenPage, server: RunyardServer, tmp_path: Path
) -> None:
    project = spend_night(server, tmp_path, "mobile")
    page = sign_in(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.goto(f"{server.url}/?project={project}")
    expect(page.get_by_test_id("inbox-preview")).to_be_hidden()
    expect_no_sideways_scroll(page, 390)
    bar = page.get_by_test_id("inbox-bar")
    expect(bar).to_contain_text("mobile is paused")
    press = page.get_by_test_id("bar-preview-action")
    place = press.bounding_box()
    assert place is not None
    assert place["y"] >= 422
    assert place["height"] >= 44
    press.tap()
    expect(rows(page, "paused")).to_have_count(0)

    # a tap on a row opens its page
    rows(page).filter(has_text="Document the refund").get_by_role("link").tap()
    expect(page).to_have_url(re.compile(f"/projects/{project}/changes/8$"))
    page.go_back()
    # all that pass and do not conflict yet
    page.get_by_test_id("merge-all").tap()
    expect(page.get_by_test_id("merge-order").locator("li")).to_have_count(4)
    page.get_by_test_id("merge-all-confirm").tap()
    expect(page.get_by_test_id("bulk-bar")).to_contain_text("Stopped at “Show tax on receipts”")
    expect(rows(page)).to_have_count(2)
    page.get_by_test_id("bulk-clear").tap()
    # the one before it in the list passes alone, by the bar below the list
    expect(bar).to_contain_text("Document the refund webhook")
    page.get_by_test_id("bar-change-merge").tap()
    page.get_by_test_id("merge-confirm").tap()
    expect(rows(page)).to_have_count(1)
    assert barriers(page) == []

    # what conflicts is not merged: the way out stands in the bar, whole
    expect(bar).to_contain_text("Show tax on receipts")
    expect(page.get_by_test_id("bar-change-merge")).to_be_hidden()
    for mark in ("bar-resolve-conflicts", "bar-change-request"):
        place = page.get_by_test_id(mark).bounding_box()
        assert place is not None
        assert place["x"] + place["width"] <= 390
    rows(page).get_by_role("link").tap()
    merge = page.get_by_test_id("change-merge")
    expect(merge).to_have_attribute("aria-disabled", "true")
    way_out = page.get_by_test_id("resolve-conflicts")
    fill = "one => getComputedStyle(one).backgroundColor"
    assert merge.evaluate(fill) != way_out.evaluate(fill)
    expect(page.get_by_text("Resolve the conflicts first.")).to_be_visible()
    expect_no_sideways_scroll(page, 390)
