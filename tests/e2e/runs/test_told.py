"""Prompts in a browser: a long one scrolls in its place, on a wide and on a narrow screen."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.builders.scenes import NEVER_COMMITS, add_project, wait_for_run_page
from tests.drivers.servers.processes import RunyardServer

LONG = "Reject expired coupons.\n\n" + "and so on " * 400 + "x" * 2_000 + "\n" * 60 + "The end."


@pytest.mark.parametrize("width", [1280, 390])
def test_a_long_prompt_is_shown_before_and_after_the_run_within_the_screen(
    signed_in: Page, server: RunyardServer, tmp_path: Path, width: int
) -> None:
    page = signed_in
    project = add_project(server, tmp_path, NEVER_COMMITS, name=f"told-{width}")
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{server.url}/projects/{project}/run")
    expect(page.get_by_test_id("prompt-template")).to_have_text(
        "What it will be told · fix-tests@1"
    )
    expect(page.get_by_test_id("task")).to_be_focused()
    page.get_by_test_id("task").fill(LONG)
    shown = page.get_by_test_id("prompt-preview").locator("pre")
    expect(shown).to_contain_text("The end.")
    _fits(page, shown, 330)
    page.get_by_test_id("run-submit").click()
    wait_for_run_page(page)
    page.get_by_text("What it was told").click()
    told = page.get_by_test_id("told-text").locator("pre")
    expect(told).to_contain_text("You are on branch")
    _fits(page, told, 430)


def _fits(page: Page, text: Locator, most: float) -> None:
    box = text.bounding_box()
    assert box is not None
    assert box["height"] <= most
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
