"""The page of fifty cards: its server time, its bytes and its first paint."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tests.bench.calls import expect, send
from tests.bench.client.phase import Plan, processor_seconds
from tests.bench.pairs import PAIRS
from tests.bench.table import Found, Measured, Missing
from tests.bench.yard import Yard

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Response

CARDS, CARDS_PATH = 50, "/projects"
READS, WARM_UP = 20, 2
NO_CHROMIUM = Missing("no Chromium here")
BROWSER_ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass(frozen=True)
class Answered:
    """What a page costs the server: the time of its answer, processor time, and its size."""

    milliseconds: float
    processor_ms: float
    note: str


@dataclass(frozen=True)
class Watch:
    """What a look at a page waits for: `seen` returns milliseconds since the press.

    `script` runs before those of the page.
    """

    seen: str
    script: str = ""


FIRST_PAINT = Watch(
    "() => performance.getEntriesByType('paint')"
    ".find(entry => entry.name === 'first-contentful-paint')?.startTime"
)


@dataclass
class Looks:
    """What a browser with an empty cache saw, each time it opened a page: seconds and bytes."""

    seconds: list[float] = field(default_factory=list[float])
    sizes: list[float] = field(default_factory=list[float])
    answers: int = 0


def measure_page(yard: Yard) -> Found:
    """Measure server time over a socket; first paint and bytes in Chromium, if there is one."""
    cookie = yard.sign_in()
    answered = ask(yard, cookie, CARDS_PATH, shows="project-card", least=CARDS)
    looks = look_at(yard, cookie, CARDS_PATH, last_of="project-card", least=CARDS)
    found: Found = {"page": Measured(answered.milliseconds, answered.note)}
    if looks is None:
        return found | dict.fromkeys(("paint", "bytes"), NO_CHROMIUM)
    return found | {
        "paint": Measured(median(looks.seconds), "nothing cached"),
        "bytes": Measured(median(looks.sizes) / 1024, f"{looks.answers} answers"),
    }


def ask(yard: Yard, cookie: str, path: str, *, shows: str, least: int) -> Answered:
    """Ask for a page over a socket, many times. Raises RuntimeError if it shows too little.

    `shows` is the test id of which it must have at least so many.
    """
    with yard.server.visitor(Cookie=cookie) as browser:
        page = browser.get(f"{yard.server.url}{path}")
    page.raise_for_status()
    if (found := page.text.count(f'data-testid="{shows}"')) < least:
        raise RuntimeError(f"the page shows {found} of {least} × {shows}")
    whole, sent = len(page.content) / 1024, page.num_bytes_downloaded / 1024
    headers = {"Host": yard.server.page_host, "Cookie": cookie}
    url = f"{yard.server.url}{path}"
    used = processor_seconds(yard.pid)
    phase = send(Plan(url, READS, warm_up=WARM_UP, method="GET", headers=headers))
    used = 1000 * (processor_seconds(yard.pid) - used) / (READS + WARM_UP)
    note = f"{used:.0f} ms of processor time; {whole:.0f} KiB, {sent:.0f} KiB compressed"
    return Answered(1000 * expect(phase, 200).p50, used, note)


def look_at(
    yard: Yard, cookie: str, path: str, *, last_of: str, least: int, watch: Watch = FIRST_PAINT
) -> Looks | None:
    """Open a page in Chromium, five times with an empty cache; None without Chromium.

    Each time it waits for so many elements with a test id, and for what is watched.
    """
    chromium = _find_chromium()
    if chromium is None:
        return None
    looks = Looks()
    name, _, value = cookie.partition("=")
    with _browser(chromium) as browser:
        for _ in range(PAIRS):
            # a new context has an empty cache
            context = browser.new_context()
            context.add_cookies([{"name": name, "value": value, "url": yard.server.page_url}])
            page = context.new_page()
            page.add_init_script(watch.script)
            answers: list[Response] = []
            page.on("response", lambda one, heard=answers: heard.append(one))
            page.goto(f"{yard.server.page_url}{path}", wait_until="load")
            page.get_by_test_id(last_of).nth(least - 1).wait_for()
            # elements can be there a moment before the first of them is painted
            looks.seconds.append(_number(page, watch.seen) / 1000)
            looks.sizes.append(sum(one.request.sizes()["responseBodySize"] for one in answers))
            looks.answers = len(answers)
            context.close()
    return looks


def _number(page: Page, script: str) -> float:
    return float(page.wait_for_function(script).json_value())


@contextmanager
def _browser(chromium: str) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium or None,
            args=[*BROWSER_ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else [])],
        )
        yield browser
        browser.close()


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
