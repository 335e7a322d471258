"""The page of fifty cards: its server time, its bytes and its first paint."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from statistics import median

import httpx

from tests.bench.calls import expect, send
from tests.bench.client.phase import Plan
from tests.bench.pairs import PAIRS
from tests.bench.table import Found, Measured, Missing
from tests.bench.yard import Yard

CARDS = 50
READS, WARM_UP = 20, 2
PAINT_MS = (
    "() => performance.getEntriesByType('paint')"
    ".find(entry => entry.name === 'first-contentful-paint')?.startTime"
)
BROWSER_ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def measure_page(yard: Yard) -> Found:
    """Measure server time over a socket; first paint and bytes in Chromium, if there is one."""
    cookie = yard.sign_in()
    with yard.server.visitor(Cookie=cookie) as browser:
        page = _get(browser, f"{yard.server.url}/")
    document = page.num_bytes_downloaded / 1024
    note = f"{len(page.content) / 1024:.0f} KiB, {document:.0f} KiB compressed"
    headers = {"Host": yard.server.page_host, "Cookie": cookie}
    reads = Plan(f"{yard.server.url}/", READS, warm_up=WARM_UP, method="GET", headers=headers)
    seconds = expect(send(reads), 200).p50
    return {"page": Measured(seconds * 1000, note), **_look_at(yard, cookie)}


def _get(browser: httpx.Client, url: str) -> httpx.Response:
    page = browser.get(url)
    page.raise_for_status()
    if page.text.count("project-card") == 0:
        raise RuntimeError("the page shows no project")
    return page


def _look_at(yard: Yard, cookie: str) -> Found:
    chromium = _find_chromium()
    if chromium is None:
        return dict.fromkeys(("paint", "bytes"), Missing("no Chromium here"))
    name, _, value = cookie.partition("=")
    from playwright.sync_api import Response, sync_playwright

    paints, sizes, answers = [], [], list[Response]()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium or None,
            args=[*BROWSER_ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else [])],
        )
        for _ in range(PAIRS):
            # a new context has an empty cache
            context = browser.new_context()
            context.add_cookies([{"name": name, "value": value, "url": yard.server.page_url}])
            page = context.new_page()
            answers = list[Response]()
            page.on("response", lambda one, heard=answers: heard.append(one))
            page.goto(f"{yard.server.page_url}/", wait_until="load")
            page.get_by_test_id("project-card").nth(CARDS - 1).wait_for()
            # cards can be there a moment before the first of them is painted
            paints.append(float(page.wait_for_function(PAINT_MS).json_value()) / 1000)
            sizes.append(sum(one.request.sizes()["responseBodySize"] for one in answers))
            context.close()
        browser.close()
    return {
        "paint": Measured(median(paints), "nothing cached"),
        "bytes": Measured(median(sizes) / 1024, f"{len(answers)} answers"),
    }


def _find_chromium() -> str | None:
    """Return the browser's path, "" for Playwright's own, None if there is none."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    with sync_playwright() as playwright:
        if Path(playwright.chromium.executable_path).is_file():
            return ""
    return os.environ.get("CHROMIUM_PATH") or shutil.which("chromium")
