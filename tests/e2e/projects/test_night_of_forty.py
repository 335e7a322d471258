"""A night of 40 issues, worked off in the morning until nothing waits: by keys, or by thumb."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.builders.repositories import commit_files
from tests.builders.scenes import tab_to
from tests.drivers.nights import Night
from tests.drivers.servers.processes import RunyardServer
from tests.drivers.web.thumbs import PHONE, covers, press
from tests.e2e.conftest import OpenPage

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]
WORKS, FORGETS, COLLIDES = "please work", "please forget", "please collide"
ASKS, FAILS = "please leave the end to me", "please need the table"
# the third failure in a row pauses the loop, so that the last two wait for the morning
NIGHT = (
    *[WORKS] * 12,
    *[FORGETS] * 4,
    *[COLLIDES] * 3,
    *[ASKS] * 4,
    FAILS,
    *[WORKS] * 8,
    FAILS,
    *[WORKS] * 2,
    *[FAILS] * 3,
    *[WORKS] * 2,
)
FAILED = [number for number, body in enumerate(NIGHT, 1) if body == FAILS]
ASKED = [number for number, body in enumerate(NIGHT, 1) if body == ASKS]
DELIVERED = 33
WISH, REASON = "Write: ask no more", "Write: take the other way"


def spend(server: RunyardServer, folder: Path, name: str) -> Night:
    """Let the 40 issues be worked on until the loop is paused."""
    night = Night(server, folder, name, check_rounds=1)
    issues = [(f"Issue {number:02d}", body) for number, body in enumerate(NIGHT, 1)]
    night.spend(issues, waiting=DELIVERED + len(FAILED) + 1)
    return night


def rows(page: Page, words: str = "") -> Locator:
    """Locate the rows of changes with these words."""
    return page.locator("[data-testid=inbox-item][data-kind=change]").filter(has_text=words)


def count_of(page: Page, group: str) -> Locator:
    """Locate the number of items of a group."""
    return page.get_by_test_id("inbox-list").locator(f".sect.{group} .section-row .n")


def test_a_night_of_forty_issues_is_worked_off_by_keys_alone(
    tab: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page, keys = tab, tab.keyboard
    night = spend(server, tmp_path, "ledger")
    page.goto(server.url)
    expect(page.get_by_test_id("night-report")).to_contain_text("33 delivered · 5 failed")
    expect(page).to_have_title("(1) Inbox · Runyard")
    expect(selected(page)).to_contain_text("ledger is paused: 3 failures in a row")
    # what failed is repaired, and the loop goes on with the two that are left
    commit_files(night.origin, {"table.sql": "create table exports;\n"})
    keys.press("m")
    expect(page).to_have_title("Inbox · Runyard")
    expect(count_of(page, "review")).to_have_text("35")

    for number in reversed(ASKED):
        walk_to(page, f"Issue {number}")
        expect(selected(page)).to_contain_text("1 of 1 failed")
        keys.press("r")
        expect(page.get_by_test_id("request-text")).to_be_focused()
        keys.type(WISH)
        keys.press("ControlOrMeta+Enter")
        expect(page.get_by_test_id("request-dialog")).to_be_hidden()
    expect(rows(page, "1 of 1 failed")).to_have_count(0)
    expect(rows(page, "Draft")).to_have_count(0)

    # one goes back into the queue with a reason, and comes again
    walk_to(page, "Issue 12")
    keys.press("e")
    expect(page.get_by_test_id("close-because")).to_be_focused()
    keys.type(REASON)
    tab_to(page, page.get_by_test_id("close-confirm"))
    keys.press("Enter")
    expect(page.get_by_test_id("close-dialog")).to_be_hidden()
    expect(rows(page, "Issue 12")).to_have_count(0)
    expect(count_of(page, "review")).to_have_text("35")

    # all together, past what collides
    pick_all(page, 35)
    keys.press("m")
    for number, merged, left in ((18, 16, 19), (19, 0, 18)):
        stopped = f"Stopped at “Issue {number}”: conflicts in shared.txt. {merged} merged, {left}"
        expect(page.get_by_test_id("bulk-bar")).to_contain_text(stopped, timeout=120_000)
        walk_to(page, f"Issue {number}")
        keys.press("x")
        keys.press("m")
    expect(page.get_by_test_id("toast")).to_contain_text("Merged 17 changes.", timeout=120_000)
    expect(rows(page)).to_have_count(2)

    # the agent resolves one conflict after the other
    for number in (18, 19):
        walk_to(page, f"Issue {number}")
        expect(selected(page)).to_contain_text("Conflicts")
        keys.press("m")
        expect(page.get_by_test_id("toast")).to_contain_text("The agent resolves it.")
        expect(selected(page)).not_to_contain_text("Conflicts")
        merge(page)
        expect(rows(page, f"Issue {number}")).to_have_count(0)

    # what had failed is freed, and comes from the loop
    tab_to(page, page.get_by_test_id("group-fold"), presses=60)
    keys.press("Enter")
    walk_to(page, "Issue 24")
    keys.press("Enter")
    tab_to(page, page.get_by_role("link", name="Its branch is parked."))
    keys.press("Enter")
    parked = page.get_by_test_id("parked-row")
    for left in (5, 4, 3, 2, 1):
        expect(parked).to_have_count(left)
        tab_to(page, parked.first.get_by_test_id("discard"))
        keys.press("Enter")
    expect(parked).to_have_count(0)
    keys.press("g")
    keys.press("i")
    expect(count_of(page, "review")).to_have_text("5")
    for left in (4, 3, 2, 1, 0):
        merge(page)
        expect(rows(page)).to_have_count(left)
    expect(page.get_by_test_id("inbox-list")).to_contain_text("All clear")
    assert_nothing_is_lost(night)


def selected(page: Page) -> Locator:
    """Locate the selected row."""
    return page.locator("[data-testid=inbox-item][aria-selected=true]")


def walk_to(page: Page, words: str) -> None:
    """Press j to the end of the list, then k from there, until the selected row has these words."""
    folded = page.locator("[data-testid=group-more]:visible")
    for key in ("j", "k"):
        for _ in range(2 * len(NIGHT)):
            if words in selected(page).inner_text():
                return
            before = selected(page).get_attribute("data-id")
            page.keyboard.press(key)
            if selected(page).get_attribute("data-id") != before:
                continue
            if key == "k" or not folded.count():
                break
            # the group opens once the server has heard that the selection comes near to its end
            expect(folded).to_have_count(0)
    raise AssertionError(f"no row has {words}")


def pick_all(page: Page, count: int) -> None:
    """Select all changes for a bulk merge, from the top of the list."""
    for _ in range(count):
        page.keyboard.press("k")
    for place in range(1, count + 1):
        page.keyboard.press("x")
        expect(page.get_by_test_id("bulk-count")).to_have_text(f"{place} selected")
        page.keyboard.press("j")


def merge(page: Page) -> None:
    """Merge the selected change, with two presses of one key."""
    page.keyboard.press("m")
    expect(page.get_by_test_id("merge-confirm")).to_be_focused()
    page.keyboard.press("m")
    expect(page.get_by_test_id("merge-dialog")).to_be_hidden()


def test_a_night_of_forty_issues_is_worked_off_by_thumb_alone(
    sign_in: OpenPage, server: RunyardServer, tmp_path: Path
) -> None:
    night = spend(server, tmp_path, "mobile")
    page = sign_in(**PHONE)
    page.goto(f"{server.url}/?project={night.project}")
    bar, toast = page.get_by_test_id("inbox-bar"), page.get_by_test_id("toast")
    expect(page.get_by_test_id("night-report")).to_contain_text("33 delivered · 5 failed")
    expect(bar).to_contain_text("mobile is paused")
    commit_files(night.origin, {"table.sql": "create table exports;\n"})
    press(page, "bar-preview-action")
    expect(count_of(page, "review")).to_have_text("35")

    for number in ASKED:
        open_row(page, f"Issue {number}")
        press(page, "change-request")
        page.get_by_test_id("request-text").fill(WISH)
        press(page, "request-send")
        expect(page.get_by_test_id("request-dialog")).to_be_hidden()
        page.go_back()
    expect(rows(page, "1 of 1 failed")).to_have_count(0)
    expect(rows(page, "Draft")).to_have_count(0)

    # one goes back into the queue with a reason, and comes again
    page.get_by_test_id("group-more").filter(has_text="Show all 35").tap()
    open_row(page, "Issue 12")
    press(page, "change-more")
    press(page, "change-close")
    page.get_by_test_id("close-because").fill(REASON)
    press(page, "close-confirm")
    expect(page.get_by_test_id("change-state")).to_have_text("Closed")
    page.go_back()
    expect(count_of(page, "review")).to_have_text("35")

    # all that pass: the first of those that collide goes in, and the others are named
    merge_all(page, 35)
    stopped = page.get_by_test_id("bulk-bar")
    expect(stopped).to_contain_text("Stopped at “Issue 18”: conflicts in shared.txt. 16 merged")
    page.get_by_test_id("bulk-clear").tap()
    expect(rows(page, "Conflicts")).to_have_count(2)
    merge_all(page, 17)
    expect(rows(page)).to_have_count(2)

    # the agent resolves one conflict after the other
    for left in (1, 0):
        expect(bar.get_by_test_id("bar-change-merge")).to_be_hidden()
        press(page, "bar-resolve-conflicts")
        expect(toast).to_contain_text("The agent resolves it.")
        assert not covers(toast, bar)
        press(page, "bar-change-merge")
        press(page, "merge-confirm")
        expect(rows(page)).to_have_count(left)

    # what had failed is freed, and comes from the loop
    page.get_by_test_id("group-fold").tap()
    parked = page.locator("[data-testid=inbox-item][data-kind=parked]")
    parked.filter(has_text="Issue 24").locator("a.t1").tap()
    page.get_by_role("link", name="Its branch is parked.").tap()
    lines = page.get_by_test_id("parked-row")
    for left in (5, 4, 3, 2, 1):
        expect(lines).to_have_count(left)
        lines.first.get_by_test_id("discard").tap()
    expect(lines).to_have_count(0)
    press(page, "nav-inbox")
    expect(count_of(page, "review")).to_have_text("5")
    for left in (4, 3, 2, 1, 0):
        press(page, "bar-change-merge")
        press(page, "merge-confirm")
        expect(rows(page)).to_have_count(left)
    expect(page.get_by_test_id("inbox-list")).to_contain_text("All clear")
    assert_nothing_is_lost(night)


def open_row(page: Page, words: str) -> None:
    """Tap the row of a change, which opens its page."""
    rows(page, words).locator("a.t1").tap()
    expect(page.get_by_test_id("change-header")).to_contain_text(words)


def merge_all(page: Page, count: int) -> None:
    """Merge all changes that pass, one by one."""
    page.get_by_test_id("merge-all").tap()
    expect(page.get_by_test_id("merge-order").locator("li")).to_have_count(count)
    press(page, "merge-all-confirm")
    expect(page.get_by_test_id("merge-all")).not_to_have_text("Merging…", timeout=120_000)


def assert_nothing_is_lost(night: Night) -> None:
    """Check in git, in the tracker and in the inbox that each issue has come to its end."""
    collided = [number for number, body in enumerate(NIGHT, 1) if body == COLLIDES]
    own = {number: f"notes/afk-{number}.txt" for number in range(1, 41) if number not in collided}
    assert night.files_at_base() == {"README.md", "table.sql", "shared.txt", *own.values()}
    assert sorted(night.text_at_base("shared.txt").split()) == ["afk/17", "afk/18", "afk/19"]
    assert {night.text_at_base(own[number]) for number in ASKED} == {"ask no more"}
    assert night.text_at_base(own[12]) == "take the other way"
    forgot = [number for number, body in enumerate(NIGHT, 1) if body == FORGETS]
    assert {night.text_at_base(own[number]) for number in forgot} == {"repaired"}
    rest = [number for number, body in enumerate(NIGHT, 1) if body in (WORKS, FAILS)]
    assert {night.text_at_base(own[number]) for number in rest if number != 12} == {"written"}
    assert night.states_of_issues() == {"closed": list(range(1, 41))}
    assert night.states_of_changes() == {"merged": 40, "closed": 1}
    assert night.waiting() == []
    statuses = [(run["status"], run["trigger"]) for run in night.runs()]
    # 33 of the night, 2 after it, 1 again, 5 freed; what was sent back, and what collided
    assert statuses.count(("succeeded", "auto")) == 41
    assert statuses.count(("died", "auto")) == len(FAILED)
    assert statuses.count(("succeeded", "review")) == len(ASKED) + 2
    assert len(statuses) == 41 + 5 + 6
