"""assets/clock.js in a real browser: live badge, theme, shortcuts, countdowns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.drivers.servers.processes import RunyardServer

DROP = "() => window.socket.io.engine.close()"
PATHS = (
    *("/", "/projects/add", "/settings", "/settings?tab=limits", "/guide", "/runs"),
    *("/projects/{demo}", "/projects/{demo}?tab=settings", "/projects/{demo}/run"),
)
IS_READY = "() => window.socket?.connected && window.did_handshake"


@pytest.fixture(scope="module")
def demo(server: RunyardServer) -> str:
    """The id of the demo project."""
    with server.client() as client:
        return client.post("/demo-project").json()["id"]


def test_the_badge_follows_the_link_and_gives_up_after_three_losses(signed_in: Page) -> None:
    badge = signed_in.get_by_test_id("live-badge")
    for _ in range(2):
        signed_in.wait_for_function(IS_READY)
        expect(badge).to_have_text("Live")
        signed_in.evaluate(DROP)
        expect(badge).to_have_text("Reconnecting…")
        expect(badge).to_have_text("Live")
    signed_in.evaluate(DROP)
    expect(badge).to_have_text("Manual Reconnect Only")
    signed_in.get_by_role("button", name="Reconnect").click()
    signed_in.wait_for_function(IS_READY)
    expect(badge).to_have_text("Live")


def test_a_pinned_look_outlives_the_page_and_the_system_rules_again_after_it(
    signed_in: Page,
) -> None:
    ground = "() => getComputedStyle(document.body).backgroundColor"
    signed_in.emulate_media(color_scheme="light")
    light = signed_in.evaluate(ground)
    signed_in.get_by_role("button", name="Dark").click()
    assert signed_in.evaluate(ground) != light
    signed_in.reload()
    signed_in.wait_for_selector(".shell")
    assert signed_in.evaluate(ground) != light
    signed_in.get_by_role("button", name="Auto").click()
    assert signed_in.evaluate(ground) == light


def test_the_key_n_opens_a_new_run_but_not_while_somebody_types(
    signed_in: Page, server: RunyardServer, demo: str
) -> None:
    signed_in.goto(f"{server.url}/projects/add")
    signed_in.get_by_label("Name").press_sequentially("nnn")
    expect(signed_in.get_by_label("Name")).to_have_value("nnn")
    signed_in.goto(f"{server.url}/projects/{demo}")
    signed_in.wait_for_selector("[data-testid=issue-row]")
    signed_in.keyboard.press("n")
    expect(signed_in.get_by_role("dialog", name="New run")).to_be_visible()


def test_a_countdown_runs_on_the_servers_clock_and_tells_its_end_once(signed_in: Page) -> None:
    until = (datetime.now(UTC) + timedelta(seconds=1.2)).isoformat()
    told = signed_in.evaluate(
        """async (until) => {
            const time = document.createElement("time");
            time.dataset.until = until;
            let told = 0;
            document.body.addEventListener("over", () => told++);
            document.body.append(time);
            await new Promise((done) => document.body.addEventListener("over", done));
            await new Promise((done) => setTimeout(done, 1100));
            return [told, time.textContent];
        }""",
        until,
    )
    assert told == [1, "00:00"]


def test_every_page_is_whole_at_360_pixels_and_asks_no_other_host(
    browser: Browser, server: RunyardServer, demo: str
) -> None:
    phone = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True)
    page = phone.new_page()
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.goto(server.new_link())
    for path in PATHS:
        page.goto(server.url + path.format(demo=demo))
        page.wait_for_selector(".shell")
        assert page.evaluate("document.documentElement.scrollWidth") == 360, path
        page.get_by_role("button", name="Menu").click()
        expect(page.get_by_label("Main").get_by_role("link", name="Settings")).to_be_visible()
        assert hosts - {"", f"127.0.0.1:{server.port}"} == {server.page_host}, path
    phone.close()


def test_no_text_is_fainter_than_four_and_a_half_to_one(
    signed_in: Page, server: RunyardServer, demo: str
) -> None:
    """Check every text against the background behind it, in light and dark."""
    for path in ("/", f"/projects/{demo}", "/settings"):
        signed_in.goto(server.url + path)
        signed_in.wait_for_selector(".shell")
        for scheme in ("light", "dark"):
            signed_in.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            expect(signed_in.locator("body.body--dark")).to_have_count(int(scheme == "dark"))
            assert signed_in.evaluate(FAINT) == []


FAINT = """() => {
    const light = (c) => {
        const v = c.match(/[\\d.]+/g).slice(0, 3).map((x) => x / 255)
            .map((x) => (x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
        return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2];
    };
    const ground = (el) => {
        for (let at = el; at; at = at.parentElement) {
            const colour = getComputedStyle(at).backgroundColor;
            if (!/, 0\\)$/.test(colour)) return colour;
        }
        return "rgb(255, 255, 255)";
    };
    const faint = [];
    for (const el of document.querySelectorAll(".shell *")) {
        const own = [...el.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
        if (!own || !el.checkVisibility() || el.closest(".disabled")) continue;
        const [a, b] = [light(getComputedStyle(el).color), light(ground(el))].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < 4.5) faint.push(`${el.textContent.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
    }
    return faint;
}"""
