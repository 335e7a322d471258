"""The first answer is read before any script, and the mounted page takes its place unseen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Locator, Page, Route, expect

from tests.builders.scenes import HOSTILE, add_project, card
from tests.drivers.servers.processes import RunyardServer
from tests.e2e.conftest import OpenPage, signed_in_browser

IS_READY = "() => window.socket?.connected && window.did_handshake"
IS_MOUNTED = "() => document.getElementById('app').__vue_app__ !== undefined"
NAMES = ("checkout-api", "ledger", "mobile", "billing", HOSTILE)
WATCH_SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) window.shifts.push(one.value);
}).observe({ type: "layout-shift", buffered: true });
"""
GROUND = "() => getComputedStyle(document.body).backgroundColor"
GROUNDS = {"light": "rgb(246, 246, 243)", "dark": "rgb(16, 17, 19)"}
PARTS = (
    *("h1", ".head", ".project-sections", ".rail", "main", ".project-card", ".project-card .name"),
    *(".project-card .pills", ".project-card .acts", ".project-card .acts button"),
)
BOXES = """(names) => names.map((name) => {
  const { x, y, width, height } = document.querySelector(name).getBoundingClientRect();
  const style = getComputedStyle(document.querySelector(name));
  return [name, x, y, width, height, style.fontFamily, style.color, style.opacity];
})"""
PLACES = """() => [...document.querySelectorAll(
  "h1, .head > *, .tabs a, .f > *, main .btn, .project-sections > *"
)].filter((one) => one.checkVisibility()).map((one) => {
  const at = one.getBoundingClientRect();
  return [one.tagName, ...[at.x, at.y, at.width, at.height].map(Math.round)].join(" ");
})"""
LAST_CARD = "[...document.querySelectorAll('.project-card')].at(-1).getBoundingClientRect().y"
SIZES = """() => performance.getEntriesByType("resource")
  .filter((one) => /[.]m?(js|css)($|[?])/.test(one.name))
  .map((one) => [one.name, one.transferSize])"""
FONT_COMES = """async () => { await document.fonts.load("16px 'Inter Variable'"); }"""
Scheme = Literal["light", "dark"]


@pytest.fixture(scope="module")
def projects(server: RunyardServer, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The ids of five projects, one with a hostile name."""
    folder = tmp_path_factory.mktemp("origins")
    return [
        add_project(server, folder / f"place{number}", ["true"], name=name)
        for number, name in enumerate(NAMES)
    ]


@pytest.fixture(scope="module")
def known_browser(browser: Browser, server: RunyardServer) -> Iterator[BrowserContext]:
    """A browser context that signs in once and records the shifts of every page."""
    with signed_in_browser(browser, server) as context:
        context.add_init_script(WATCH_SHIFTS)
        yield context


@contextmanager
def held_scripts(page: Page) -> Iterator[None]:
    """Hold back every script that is asked for inside the block; then let them through."""
    held: list[Route] = []
    lets_through = False

    def hold(route: Route) -> None:
        if route.request.resource_type == "script" and not lets_through:
            held.append(route)
        else:
            route.continue_()

    page.route("**/*", hold)
    yield
    assert held, "no script was asked for"
    lets_through = True
    for route in held:
        with suppress(Error):  # of a page that was left
            route.continue_()


def open_at_once(page: Page, address: str) -> None:
    """Go to an address without waiting for scripts."""
    page.goto(address, wait_until="commit")


def wait_until_drawn(page: Page) -> None:
    """Wait until the whole first answer is there, in its own font."""
    page.wait_for_function("() => document.readyState !== 'loading'")
    page.evaluate(FONT_COMES)


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (390, "light"),
        (1280, "dark"),
        pytest.param(390, "dark", marks=pytest.mark.soak),
        pytest.param(1280, "light", marks=pytest.mark.soak),
    ],
)
def test_the_cards_are_read_without_scripts_and_stay_where_they_are(
    tab: Page, server: RunyardServer, projects: list[str], width: int, scheme: Scheme
) -> None:
    tab.set_viewport_size({"width": width, "height": 800})
    tab.emulate_media(color_scheme=scheme)
    with held_scripts(tab):
        open_at_once(tab, f"{server.url}/projects")
        for name in NAMES:
            expect(tab.get_by_text(name, exact=True).last).to_be_visible()
        expect(tab.get_by_test_id("project-card")).to_have_count(len(projects))
        wait_until_drawn(tab)
        assert tab.evaluate(IS_MOUNTED) is False
        assert tab.evaluate(GROUND) == GROUNDS[scheme]
        before = tab.evaluate(BOXES, PARTS)
    tab.wait_for_function(IS_READY)
    assert tab.evaluate(IS_MOUNTED)
    after = tab.evaluate(BOXES, PARTS)
    assert _rounded(after) == _rounded(before)
    for project_id in projects:
        expect(card(tab, project_id)).to_have_count(1)
    assert tab.locator("h1").count() == tab.locator("main").count() == 1
    assert sum(tab.evaluate("() => window.shifts")) < 0.01
    assert tab.evaluate(GROUND) == GROUNDS[scheme]


def _rounded(boxes: list[list[Any]]) -> list[list[Any]]:
    return [[round(one) if isinstance(one, float) else one for one in box] for box in boxes]


def test_a_pinned_look_is_worn_before_any_script(
    tab: Page, server: RunyardServer, projects: list[str]
) -> None:
    tab.emulate_media(color_scheme="light")
    tab.context.add_cookies([{"name": "runyard_look", "value": "dark", "url": server.page_url}])
    try:
        with held_scripts(tab):
            open_at_once(tab, f"{server.page_url}/projects")
            expect(tab.get_by_test_id("project-card").first).to_be_visible()
            assert tab.evaluate(GROUND) == GROUNDS["dark"]
            expect(tab.locator("[data-look=dark]")).to_have_attribute("aria-pressed", "true")
        tab.wait_for_function(IS_READY)
        assert tab.evaluate(GROUND) == GROUNDS["dark"]
    finally:
        tab.context.clear_cookies(name="runyard_look")


@pytest.mark.parametrize("path", ["/projects/{}", "/projects/{}?tab=settings", "/projects/{}/run"])
def test_the_parts_of_other_pages_stay_where_they_are(
    tab: Page, server: RunyardServer, projects: list[str], path: str
) -> None:
    with held_scripts(tab):
        open_at_once(tab, server.url + path.format(projects[0]))
        expect(tab.locator("h1")).to_be_visible()
        wait_until_drawn(tab)
        before = tab.evaluate(PLACES)
    tab.wait_for_function(IS_READY)
    assert tab.evaluate(PLACES) == before
    assert sum(tab.evaluate("() => window.shifts")) < 0.01


def test_until_then_links_lead_on_and_buttons_do_not_react(
    tab: Page, server: RunyardServer, projects: list[str]
) -> None:
    with held_scripts(tab):
        open_at_once(tab, f"{server.url}/projects")
        expect(tab.locator(".start-afk").first).to_be_visible()
        expect(tab.get_by_test_id("start-afk")).to_have_count(0)
        live = "button:not([inert], [inert] *), input:not([inert], [inert] *)"
        expect(tab.locator("#app").locator(live)).to_have_count(0)
        tab.get_by_test_id("nav-runs").click()
        expect(tab.locator("h1")).to_have_text("Runs")
    tab.wait_for_function(IS_READY)


def test_a_press_on_a_page_that_has_just_come_reaches_the_mounted_button(
    tab: Page, server: RunyardServer, projects: list[str]
) -> None:
    open_at_once(tab, f"{server.url}/projects")
    card(tab, projects[0]).get_by_test_id("card-menu").click()
    expect(tab.locator(".menu .item").first).to_be_visible()
    open_at_once(tab, f"{server.url}/projects/add")
    tab.get_by_test_id("project-name").fill("typed at once")
    tab.wait_for_function(IS_READY)
    expect(tab.get_by_test_id("project-name")).to_have_value("typed at once")


def test_a_person_who_has_scrolled_stays_there(
    tab: Page, server: RunyardServer, projects: list[str]
) -> None:
    tab.set_viewport_size({"width": 390, "height": 500})
    with held_scripts(tab):
        open_at_once(tab, f"{server.url}/projects")
        _reach(tab, tab.get_by_test_id("project-card").last)
        assert tab.evaluate("() => window.scrollY") > 200
        place = tab.evaluate(LAST_CARD)
    tab.wait_for_function(IS_READY)
    assert abs(tab.evaluate(LAST_CARD) - place) <= 2


def _reach(page: Page, subject: Locator) -> None:
    subject.scroll_into_view_if_needed()
    expect(subject).to_be_in_viewport()


def test_without_javascript_the_words_stand_and_the_plain_page_is_named(
    sign_in_without: Page, server: RunyardServer, projects: list[str]
) -> None:
    page = sign_in_without
    for name in NAMES:
        expect(page.get_by_text(name, exact=True).last).to_be_visible()
    page.get_by_role("link", name="The plain page").click()
    expect(page).to_have_url(f"{server.page_url}/plain")


@pytest.fixture
def sign_in_without(open_page: OpenPage, server: RunyardServer, projects: list[str]) -> Page:
    """The Projects page in a browser without JavaScript."""
    page = open_page(java_script_enabled=False)
    page.goto(server.new_link())
    return page


def test_a_second_page_asks_for_no_script_and_no_sheet_again(
    browser: Browser, server: RunyardServer, projects: list[str], tmp_path: Path
) -> None:
    with signed_in_browser(browser, server) as context:
        page = context.new_page()
        answers: dict[str, str] = {}
        page.on(
            "response",
            lambda one: (
                answers.update({one.url: one.headers.get("cache-control", "")})
                if one.request.resource_type in ("script", "stylesheet")
                else None
            ),
        )
        page.goto(f"{server.page_url}/")
        assert answers
        assert [url for url, said in answers.items() if "immutable" not in said] == []
        assert len(answers) <= 10, sorted(answers)
        page.goto(f"{server.page_url}/")
        again = page.evaluate(SIZES)
        assert again
        assert [name for name, size in again if size] == []
