"""Every page in light, dark and on a phone: screenshot, layout, visibility, axe-core.

Each page is opened once on a desk and once on a phone. On the desk it is then darkened, and on both
it is resized, so that text is checked at every width. Screenshots are left in test-results/screens.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, expect

from tests.builders.scenes import HOSTILE, expect_no_sideways_scroll
from tests.builders.screens import IS_DRAWN, Yard, fill
from tests.drivers.servers.processes import ROOT, RunyardServer, running_server
from tests.drivers.web.browsers import WIDE
from tests.drivers.web.visibility import barriers, too_small, unseen
from tests.e2e.conftest import FAST, OpenPage

DEAD_LINKS = "[...document.querySelectorAll(`a[href=''], a[href^='#'], a:not([href])`)].length"
MAINS = "document.querySelectorAll('main, [role=main]').length"
SCREENS = ROOT / "test-results" / "screens"
PARTS = 4  # each test takes a share of the pages, to stay within its limit of two minutes
PHONE = {"width": 360, "height": 740}
Scheme = Literal["light", "dark"]
DEVICES: dict[str, dict[str, Any]] = {
    "desk": {"viewport": WIDE},
    "phone": {"viewport": PHONE, "has_touch": True, "is_mobile": True},
}
# each device's looks: name, color scheme, and the widths to check, its own included
LOOKS: dict[str, list[tuple[str, Scheme, tuple[int, ...]]]] = {
    "desk": [("light", "light", (1440, 1920, 1280)), ("dark", "dark", (1280,))],
    "phone": [("phone", "light", (390, 360))],
}
ON_ATTRIBUTES = """() => [...document.querySelectorAll("main *, .rail *")].flatMap((e) =>
  [...e.attributes].filter((a) => /^on/i.test(a.name) || /^\\s*javascript:/i.test(a.value))
    .map((a) => `${e.tagName} ${a.name}`))"""


@pytest.fixture(scope="module")
def yard(server: RunyardServer, tmp_path_factory: pytest.TempPathFactory) -> Yard:
    """A server with samples of everything."""
    return fill(server, tmp_path_factory.mktemp("places"))


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunyardServer]:
    """A server without projects."""
    with running_server(tmp_path_factory.mktemp("empty"), **FAST) as running:
        yield running


def picture(page: Page, name: str, look: str) -> None:
    """Save a screenshot of the whole page."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / f"{name}-{look}.png", full_page=True, animations="disabled")


def check(page: Page, name: str, device: str) -> list[str]:
    """Check a page in each look of the device; return accessibility and visibility problems."""
    page.wait_for_function(IS_DRAWN)
    expect(page.locator("main .head h1")).to_be_attached()
    assert page.evaluate(ON_ATTRIBUTES) == []
    assert page.evaluate(DEAD_LINKS) == 0, f"{page.url} has links that lead nowhere"
    assert page.evaluate(MAINS) == 1, f"{page.url} has more than one main part"
    found, height = [], DEVICES[device]["viewport"]["height"]
    for look, scheme, widths in LOOKS[device]:
        page.emulate_media(color_scheme=scheme)
        expect(page.locator("body.body--dark")).to_have_count(int(scheme == "dark"))
        picture(page, name, look)
        if device == "desk":
            found += barriers(page, of_colors=scheme == "dark")
        for width in widths:
            page.set_viewport_size({"width": width, "height": height})
            expect_no_sideways_scroll(page)
            found += unseen(page) + too_small(page)
    page.emulate_media(color_scheme="light")
    return found


@pytest.mark.parametrize("device", DEVICES)
def test_the_empty_page_is_whole(open_page: OpenPage, empty: RunyardServer, device: str) -> None:
    page = open_page(**DEVICES[device])
    page.goto(empty.new_link())
    expect(page.get_by_test_id("demo-project")).to_be_visible()
    assert check(page, "empty", device) == []


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("device", DEVICES)
def test_every_page_is_whole_and_without_barriers(
    sign_in: OpenPage, server: RunyardServer, yard: Yard, device: str, part: int
) -> None:
    page, found = sign_in(**DEVICES[device], reduced_motion="reduce"), []
    for name, path in list(yard.paths.items())[part::PARTS]:
        page.goto(server.url + path)
        found += check(page, name, device)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("device", DEVICES)
def test_a_diff_is_whole_and_without_barriers(
    sign_in: OpenPage, server: RunyardServer, yard: Yard, device: str
) -> None:
    page = sign_in(**DEVICES[device], reduced_motion="reduce")
    page.goto(server.url + yard.paths["run-succeeded"])
    page.get_by_role("tab", name="Diff").click()
    expect(page.get_by_test_id("run-diff")).to_contain_text("money.py")
    assert check(page, "run-diff", device) == []


def test_a_hostile_name_is_only_text(sign_in: OpenPage, server: RunyardServer, yard: Yard) -> None:
    page = sign_in()
    expect(page.get_by_role("link", name=HOSTILE)).to_be_visible()
    for name in (
        "project-hostile",
        "new-run-hostile",
        "run-hostile",
        "project-issues",
        "issue-hostile",
    ):
        page.goto(server.url + yard.paths[name])
        page.wait_for_function(IS_DRAWN)
        expect(page.get_by_text(HOSTILE).first).to_be_attached()
        assert page.locator("main img").count() == 0
