"""Every page on a desk and on a phone, light and dark: layout, visibility, axe-core.

`make test` loads each page once and looks at it in two of the four looks, in turn in
each pair, and takes a screenshot of what is wrong. `make soak` loads each page on each device,
checks it whole in all looks at all widths, and takes all screenshots: test-results/screens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import CDPSession, Page, expect

from tests.builders.scenes import HOSTILE, expect_no_sideways_scroll, wait_until_released
from tests.builders.screens import IS_DRAWN, Yard, fill
from tests.drivers.servers.processes import ROOT, RunyardServer
from tests.drivers.web.browsers import WIDE
from tests.drivers.web.visibility import barriers, flaws, fonts_loaded
from tests.e2e.conftest import OpenPage

DEAD_LINKS = "[...document.querySelectorAll(`a[href=''], a[href^='#'], a:not([href])`)].length"
MAINS = "document.querySelectorAll('main, [role=main]').length"
FAMILY = "getComputedStyle(document.querySelector('h1')).fontFamily"
SCREENS = ROOT / "test-results" / "screens"
PARTS = 3  # each test takes a share of the pages, to stay within its limit of two minutes
HEIGHT = {"desk": WIDE["height"], "phone": 740}
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
# pages with a hostile name, title or task
HOSTILE_ONES = ("projects", "project-issues", "new-run", "issue-long", "issue-noted", "run-died")
ON_ATTRIBUTES = """() => [...document.querySelectorAll("main *, .rail *")].flatMap((e) =>
  [...e.attributes].filter((a) => /^on/i.test(a.name) || /^\\s*javascript:/i.test(a.value))
    .map((a) => `${e.tagName} ${a.name}`))"""


@dataclass(frozen=True)
class Look:
    """A device in a color scheme, and the window widths to check, the last one for axe-core."""

    device: Literal["desk", "phone"]
    scheme: Literal["light", "dark"]
    widths: tuple[int, ...]

    @property
    def name(self) -> str:
        """Its name in the names of screenshots."""
        return f"{self.device}-{self.scheme}"


LIGHT_DESK = Look("desk", "light", (1920, 1440, 1280))
DARK_DESK = Look("desk", "dark", (1920, 1440, 1280))
LIGHT_PHONE = Look("phone", "light", (390, 360))
DARK_PHONE = Look("phone", "dark", (390, 360))
LOOKS = (LIGHT_DESK, DARK_DESK, LIGHT_PHONE, DARK_PHONE)
# the first look of a pair is the one in which axe-core tries all its rules
PAIRS = (
    (LIGHT_DESK, DARK_PHONE),
    (DARK_DESK, LIGHT_PHONE),
    (LIGHT_PHONE, DARK_DESK),
    (DARK_PHONE, LIGHT_DESK),
)


class Window:
    """A tab that becomes a desk's or a phone's window without loading its page again."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._is: tuple[Look, int] | None = None
        self._devtools: CDPSession = page.context.new_cdp_session(page)
        page.emulate_media(reduced_motion="reduce")
        self.hosts: set[str] = set()
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))

    def become(self, look: Look, width: int) -> None:
        """Take the look's device, color scheme, and this width, unless it has them."""
        before, self._is = self._is, (look, width)
        if before == self._is:
            return
        is_phone = look.device == "phone"
        size = {"width": width, "height": HEIGHT[look.device], "deviceScaleFactor": 1}
        self._devtools.send("Emulation.setDeviceMetricsOverride", {**size, "mobile": is_phone})
        if before is None or before[0] is not look:
            self._devtools.send("Emulation.setTouchEmulationEnabled", {"enabled": is_phone})
            self.page.emulate_media(color_scheme=look.scheme)

    def wear(self, look: Look) -> None:
        """Take the look, and wait until the loaded page has its colors."""
        self.become(look, look.widths[0])
        expect(self.page.locator("body.body--dark")).to_have_count(int(look.scheme == "dark"))

    def see(self, look: Look, width: int) -> list[str]:
        """Check the page's layout in this look and width; list what cannot be seen."""
        self.become(look, width)
        expect_no_sideways_scroll(self.page, width)
        return flaws(self.page, width)


@pytest.fixture(scope="module")
def yard(server: RunyardServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """The server with samples of everything, one of them a live run."""
    yard = fill(server, tmp_path_factory.mktemp("places"))
    yield yard
    with server.client() as client:
        client.post(f"/runs/{yard.runs['running']}/stop")
    wait_until_released(server, yard.runs["running"])


def take_picture(page: Page, name: str, look: Look) -> None:
    """Save a screenshot of the whole page."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / f"{name}-{look.name}.png", full_page=True, animations="disabled")


def wait_until_drawn(page: Page) -> None:
    """Wait for the page's connection and heading, and check what no look changes."""
    page.wait_for_function(IS_DRAWN)
    expect(page.locator("main .head h1")).to_be_attached()
    assert page.evaluate(ON_ATTRIBUTES) == []
    assert page.evaluate(DEAD_LINKS) == 0, f"{page.url} has links that lead nowhere"
    assert page.evaluate(MAINS) == 1, f"{page.url} has more than one main part"
    assert page.evaluate(FAMILY).startswith('"Inter Variable"')
    assert "Inter Variable" in fonts_loaded(page)


def check(window: Window, name: str, looks: tuple[Look, ...]) -> list[str]:
    """Check a loaded page in these looks; return accessibility and visibility problems.

    In the first look all rules of axe-core are tried, in the others those that depend on looks.
    """
    wait_until_drawn(window.page)
    found = []
    for look in looks:
        window.wear(look)
        seen = [problem for width in look.widths for problem in window.see(look, width)]
        seen += barriers(window.page, of_look=look is not looks[0])
        if seen:
            take_picture(window.page, name, look)
        found += seen
    return found


def check_whole(window: Window, name: str, looks: tuple[Look, ...]) -> list[str]:
    """Check a loaded page in these looks at all widths, by all rules; leave screenshots."""
    wait_until_drawn(window.page)
    found = []
    for look in looks:
        window.wear(look)
        for width in look.widths:
            found += window.see(look, width)
        take_picture(window.page, name, look)
        found += barriers(window.page)
    return found


def open_sample(window: Window, server: RunyardServer, path: str, name: str) -> None:
    """Load a sample's page; a hostile name must be shown there, and only as text."""
    page = window.page
    page.goto(server.url + path)
    if name == "run-diff":
        page.get_by_role("tab", name="Diff").click()
        expect(page.get_by_test_id("run-diff")).to_contain_text("money.py")
    if name == "issue-noted":
        expect(page.locator("main h1").first).to_contain_text("\\u202e\\u3000")
    if name in HOSTILE_ONES:
        expect(page.get_by_text(HOSTILE).first).to_be_attached()
        assert page.locator("main img").count() == 0


# first, while the server has no projects yet
def test_the_empty_page_is_whole(tab: Page, server: RunyardServer) -> None:
    window = Window(tab)
    tab.goto(server.url)
    expect(tab.get_by_test_id("demo-project")).to_be_visible()
    assert check(window, "empty", (LIGHT_DESK, DARK_PHONE)) == []
    tab.get_by_role("button", name="More").click()
    expect(tab.get_by_label("Main").get_by_role("link", name="Settings")).to_be_visible()


@pytest.mark.parametrize("part", range(PARTS))
def test_every_page_is_whole_and_without_barriers(
    tab: Page, server: RunyardServer, yard: Yard, part: int
) -> None:
    window, found = Window(tab), []
    for turn, (name, path) in enumerate(list(yard.paths.items())[part::PARTS]):
        looks = PAIRS[turn % len(PAIRS)]
        window.become(looks[0], looks[0].widths[-1])
        open_sample(window, server, path, name)
        found += check(window, name, looks)
    assert not found, "\n".join(found)
    # every request goes to Runyard itself
    assert window.hosts - {"", f"127.0.0.1:{server.port}"} == {server.page_host}


@pytest.mark.soak
@pytest.mark.parametrize("device", ["desk", "phone"])
def test_every_page_is_whole_in_every_look(
    sign_in: OpenPage, server: RunyardServer, yard: Yard, device: str
) -> None:
    context = PHONE if device == "phone" else {"viewport": WIDE}
    window, found = Window(sign_in(**context)), []
    for name, path in yard.paths.items():
        open_sample(window, server, path, name)
        found += check_whole(window, name, tuple(look for look in LOOKS if look.device == device))
    assert not found, "\n".join(found)
