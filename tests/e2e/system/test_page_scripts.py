"""Assets in a real browser: the live badge, theme, shortcuts, countdowns; the font as sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.drivers.servers.processes import ROOT, WAIT_SECONDS, RunyardServer

DROP = "() => window.socket.io.engine.close()"
FONTS = ROOT / "assets" / "fonts"
IS_READY = "() => window.socket?.connected && window.did_handshake"


@pytest.fixture(scope="module")
def demo(server: RunyardServer) -> str:
    """The id of the demo project."""
    with server.client() as client:
        return client.post("/demo-project").json()["id"]


def test_the_badge_follows_the_link_and_gives_up_after_three_losses(
    tab: Page, server: RunyardServer
) -> None:
    tab.goto(f"{server.url}/guide")
    badge = tab.get_by_test_id("live-badge")
    for _ in range(2):
        tab.wait_for_function(IS_READY)
        expect(badge).to_have_text("Live")
        tab.evaluate(DROP)
        expect(badge).to_have_text("Reconnecting…")
        expect(badge).to_have_text("Live")
    tab.evaluate(DROP)
    expect(badge).to_have_text("Manual Reconnect Only")
    tab.get_by_role("button", name="Reconnect").click()
    tab.wait_for_function(IS_READY)
    expect(badge).to_have_text("Live")


def test_a_pinned_look_outlives_the_page_and_the_system_rules_again_after_it(
    tab: Page, server: RunyardServer
) -> None:
    tab.goto(f"{server.url}/guide")
    ground = "() => getComputedStyle(document.body).backgroundColor"
    tab.emulate_media(color_scheme="light")
    light = tab.evaluate(ground)
    tab.get_by_role("button", name="Look and shortcuts").click()
    tab.get_by_role("button", name="Dark").click()
    assert tab.evaluate(ground) != light
    tab.reload()
    tab.wait_for_selector(".shell")
    assert tab.evaluate(ground) != light
    tab.get_by_role("button", name="Look and shortcuts").click()
    tab.get_by_role("button", name="Auto").click()
    assert tab.evaluate(ground) == light


def test_the_key_n_opens_a_new_run_but_not_while_a_person_types(
    tab: Page, server: RunyardServer, demo: str
) -> None:
    tab.goto(f"{server.url}/projects/add")
    tab.get_by_label("Name").press_sequentially("nnn")
    expect(tab.get_by_label("Name")).to_have_value("nnn")
    tab.goto(f"{server.url}/projects/{demo}")
    tab.wait_for_selector("[data-testid=issue-row]")
    tab.keyboard.press("n")
    expect(tab.get_by_role("dialog", name="New run")).to_be_visible()


def test_a_countdown_runs_on_the_servers_clock_and_reports_its_end_once(
    tab: Page, server: RunyardServer
) -> None:
    tab.goto(f"{server.url}/guide")
    until = (datetime.now(UTC) + timedelta(seconds=1.2)).isoformat()
    ends = tab.evaluate(
        """async (until) => {
            const time = document.createElement("time");
            time.dataset.until = until;
            let ends = 0;
            document.body.addEventListener("over", () => ends++);
            document.body.append(time);
            await new Promise((done) => document.body.addEventListener("over", done));
            await new Promise((done) => setTimeout(done, 1100));
            return [ends, time.textContent];
        }""",
        until,
    )
    assert ends == [1, "00:00"]


def test_the_font_is_sent_once_and_its_licence_lies_beside_it(server: RunyardServer) -> None:
    [font] = FONTS.glob("*.woff2")
    answer = httpx.get(f"{server.url}/assets/fonts/{font.name}", timeout=WAIT_SECONDS)
    assert answer.content == font.read_bytes()
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "SIL Open Font License" in (FONTS / "OFL.txt").read_text("utf-8")
    style = (ROOT / "assets" / "theme.css").read_text("utf-8")
    assert f"fonts/{font.name}?v=" in style, "a new font needs a new address"
