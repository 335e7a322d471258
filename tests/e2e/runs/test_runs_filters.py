"""Filters of the list of runs that have no chip of their own, kept in the address."""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import Page, expect

from app.state.runs.run_board import RunFilters
from tests.builders.scenes import LONG, add_project, expect_no_sideways_scroll, start_run
from tests.drivers.servers.processes import RunyardServer
from tests.e2e.conftest import OpenPage


def test_runs_are_narrowed_by_a_tag_and_a_day_which_the_address_keeps(
    signed_in: Page, server: RunyardServer, tmp_path: Path
) -> None:
    page = signed_in
    project = add_project(server, tmp_path, [sys.executable, "-c", ""], name="tagged")
    tagged = start_run(server, project, tags=["night run"], delay=3600, depth_level="deep")
    start_run(server, project, tags=["other"], delay=3600)
    rows = page.get_by_test_id("run-row")
    page.goto(f"{server.url}/runs?project={project}")
    expect(rows).to_have_count(2)
    page.get_by_test_id("more-filters").click()
    page.get_by_label("Tag", exact=True).fill("night run")
    page.get_by_label("Depth").select_option("deep")
    page.get_by_label("Created after").fill("2020-01-31")
    page.get_by_role("button", name="Show").click()
    expect(rows).to_have_count(1)
    expect(rows).to_have_attribute("data-run", tagged)
    kept = RunFilters.from_query(
        dict(pair.split("=") for pair in page.url.partition("?")[2].replace("+", " ").split("&"))
    )
    assert (kept.project_id, kept.tag, str(kept.depth)) == (project, "night run", "deep")
    expect(page.locator("[data-filter=tag]")).to_contain_text("tag: night run")
    expect(page.locator("[data-filter=created_after]")).to_contain_text("2020-01-31")
    for width in (390, 1440):
        page.set_viewport_size({"width": width, "height": 844})
        expect_no_sideways_scroll(page)
    # an update of a run that does not match must not add it to the list
    start_run(server, project, tags=["third"], delay=3600, task="Another")
    page.locator("[data-filter=tag]").click()
    expect(page.locator("[data-filter=tag]")).to_have_count(0)
    expect(rows).to_have_count(1)
    page.locator("[data-filter=depth_level]").click()
    expect(rows).to_have_count(3)


def test_filters_with_long_values_leave_new_run_beside_the_title(
    signed_in: Page, sign_in: OpenPage, server: RunyardServer, tmp_path: Path
) -> None:
    project = add_project(server, tmp_path, [sys.executable, "-c", ""], name=LONG)
    address = f"{server.url}/runs?project={project}&status=died&tag={'night-' * 30}"
    phone = sign_in(viewport={"width": 390, "height": 844}, has_touch=True)
    for width, page in ((1280, signed_in), (390, phone)):
        page.goto(address)
        new, title = page.get_by_test_id("new-run"), page.get_by_role("heading", name="Runs")
        button, words = new.bounding_box(), title.bounding_box()
        assert button
        assert words
        if width > 760:
            middle = words["y"] + words["height"] / 2
            assert button["y"] < middle < button["y"] + button["height"]
        for chip in page.locator(".filter-bar > div .pick").all():
            # on a phone the bar is scrolled by hand
            chip.scroll_into_view_if_needed()
            box = chip.bounding_box()
            assert box
            assert box["x"] + box["width"] <= width
        # a long value must not cut off the mark that removes the filter
        tag = page.locator("[data-filter=tag]")
        assert tag.evaluate("(chip) => chip.scrollWidth <= chip.clientWidth")
        new.click()
        expect(page.get_by_role("heading", name=f"Run {LONG}")).to_be_visible()


def test_the_plus_of_new_run_stands_in_the_middle_of_its_button_on_a_phone(
    sign_in: OpenPage, server: RunyardServer
) -> None:
    phone = sign_in(viewport={"width": 390, "height": 844}, has_touch=True)
    phone.goto(f"{server.url}/runs")
    button = phone.get_by_test_id("new-run")
    expect(button).to_be_visible()
    # a line of text above or below the plus would push it out of the middle
    words = button.locator(".block")
    around, inside = button.bounding_box(), words.bounding_box()
    assert around
    assert inside
    assert abs((around["y"] + around["height"] / 2) - (inside["y"] + inside["height"] / 2)) < 1
    assert inside["height"] >= 20
