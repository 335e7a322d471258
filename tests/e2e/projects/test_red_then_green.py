"""A change whose checks fail goes back to its agent from the inbox, and comes back to be merged."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.drivers.nights import Night
from tests.drivers.servers.processes import RunyardServer
from tests.drivers.web.thumbs import PHONE, covers, press
from tests.e2e.conftest import OpenPage

GREEN = ("Show tax on receipts", "please work")
RED = ("Refuse expired coupons", "please leave the end to me")
WISH = "Write: refused with 410"


def test_red_work_goes_back_by_key_and_is_merged_once_it_is_green(
    tab: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page, keys = tab, tab.keyboard
    night = Night(server, tmp_path, "ledger")
    night.work_off((RED, GREEN))
    page.goto(server.url)
    preview = page.get_by_test_id("inbox-preview")
    row = page.get_by_test_id("inbox-item").filter(has_text=RED[0])
    keys.press("j")
    expect(row).to_contain_text("1 of 1 failed")
    expect(row).to_contain_text("Draft")
    expect(preview).to_contain_text("1 of 1 did not pass")

    keys.press("r")
    expect(page.get_by_test_id("request-text")).to_be_focused()
    keys.type(WISH)
    keys.press("ControlOrMeta+Enter")
    expect(page.get_by_test_id("toast")).to_contain_text("Sent to the agent.")
    expect(page.get_by_test_id("request-dialog")).to_be_hidden()
    # what is pressed while the dialog fades is not lost
    keys.press("k")
    expect(row).to_have_attribute("aria-selected", "false")
    # the next request begins empty
    keys.press("r")
    expect(page.get_by_test_id("request-text")).to_be_focused()
    expect(page.get_by_test_id("request-text")).to_have_value("")
    keys.press("Escape")
    expect(page.get_by_test_id("request-dialog")).to_be_hidden()
    keys.press("j")

    # nobody reloads the page: it comes back green, and is no draft any more
    expect(row).to_contain_text("1/1")
    expect(row).not_to_contain_text("Draft")
    expect(preview).to_contain_text("all 1 passed")
    keys.press("m")
    expect(page.get_by_test_id("merge-confirm")).to_be_focused()
    keys.press("m")
    expect(row).to_have_count(0)
    keys.press("m")
    expect(page.get_by_test_id("merge-confirm")).to_be_focused()
    keys.press("m")
    expect(page.get_by_test_id("inbox-list")).to_contain_text("All clear")
    assert_it_went_red_then_green(night)


def test_red_work_goes_back_by_thumb_and_is_merged_once_it_is_green(
    sign_in: OpenPage, server: RunyardServer, tmp_path: Path
) -> None:
    night = Night(server, tmp_path, "mobile")
    night.work_off((RED, GREEN))
    page = sign_in(**PHONE)
    page.goto(f"{server.url}/?project={night.project}")
    row = page.get_by_test_id("inbox-item").filter(has_text=RED[0])
    # the newest is merged first, by the bar; then the bar is about what is red
    press(page, "bar-change-merge")
    press(page, "merge-confirm")
    expect(page.get_by_test_id("inbox-bar")).to_contain_text(RED[0])
    expect(row).to_contain_text("1 of 1 failed")

    press(page, "bar-change-request")
    page.get_by_test_id("request-text").fill(WISH)
    press(page, "request-send")
    toast = page.get_by_test_id("toast")
    expect(toast).to_contain_text("Sent to the agent.")
    expect(page.get_by_test_id("request-dialog")).to_be_hidden()
    # the next decision is made while it is still said
    for width in (820, 360, 390):
        page.set_viewport_size({"width": width, "height": 844})
        assert not covers(toast, page.get_by_test_id("inbox-bar")), f"at {width} px"

    expect(row).to_contain_text("1/1")
    expect(row).not_to_contain_text("Draft")
    press(page, "bar-change-merge")
    press(page, "merge-confirm")
    expect(page.get_by_test_id("inbox-list")).to_contain_text("All clear")
    assert_it_went_red_then_green(night)


def assert_it_went_red_then_green(night: Night) -> None:
    """Check what git, the tracker and the prompt of the second round say."""
    written = {"notes/afk-1.txt": "refused with 410", "notes/afk-2.txt": "written"}
    assert night.files_at_base() == {"README.md", *written}
    assert {name: night.text_at_base(name) for name in written} == written
    assert night.states_of_changes() == {"merged": 2}
    assert night.states_of_issues() == {"closed": [1, 2]}
    assert night.waiting() == []
    first, _, second = night.runs()
    assert [night.checks_of(one) for one in (first, second)] == [["failed"], ["passed"]]
    assert second["trigger"] == "review"
    told = night.told(second)
    assert f"> {WISH}" in told
    assert "./notes/afk-1.txt:1:TODO: ask" in told, "the agent reads which check failed, and why"
