"""The web font: Inter, served by Runyard itself and cached by the browser."""

from __future__ import annotations

import httpx
from playwright.sync_api import Page

from tests.drivers.servers.processes import ROOT, WAIT_SECONDS, RunyardServer

FONTS = ROOT / "assets" / "fonts"
LOADED = """async () => {
  await document.fonts.ready
  return [...document.fonts].filter((f) => f.status === "loaded").map((f) => f.family)
}"""
FAMILY = "getComputedStyle(document.querySelector('h1')).fontFamily"


def test_words_are_set_in_inter_wherever_a_person_looks(
    signed_in: Page, server: RunyardServer
) -> None:
    for path in ("/", "/plain"):
        signed_in.goto(server.url + path)
        loaded = {family.strip('"') for family in signed_in.evaluate(LOADED)}
        assert "Inter Variable" in loaded
        assert signed_in.evaluate(FAMILY).startswith('"Inter Variable"')


def test_the_font_is_sent_once_and_its_licence_lies_beside_it(server: RunyardServer) -> None:
    [font] = FONTS.glob("*.woff2")
    answer = httpx.get(f"{server.url}/assets/fonts/{font.name}", timeout=WAIT_SECONDS)
    assert answer.content == font.read_bytes()
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "SIL Open Font License" in (FONTS / "OFL.txt").read_text("utf-8")
    style = (ROOT / "assets" / "theme.css").read_text("utf-8")
    assert f"fonts/{font.name}?v=" in style, "a new font needs a new address"
