"""Fixtures for browser tests: real Chromium and a real server; console errors fail the test."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, BrowserType, ConsoleMessage, Page, expect

from tests.drivers.servers.processes import RunyardServer, running_server
from tests.drivers.web.browsers import WIDE, launch_arguments
from tests.drivers.web.submits import FaultFile

FAST = {
    "RUNYARD_KILL_GRACE_SECONDS": "1",
    "RUNYARD_SWEEP_SECONDS": "1",
    "RUNYARD_RUN_QUOTA": "200",
    "RUNYARD_MAX_LIVE_RUNS": "20",
}

PATIENCE_MS = 30_000

OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def browser_type_launch_args(
    browser_type_launch_args: dict[str, Any], browser_type: BrowserType
) -> dict[str, Any]:
    """Choose the browser; fail if none is installed, never skip."""
    try:
        return {**browser_type_launch_args, **launch_arguments(browser_type)}
    except FileNotFoundError as missing:
        pytest.fail(f"{missing} Tests in a browser are never skipped.", pytrace=False)


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> FaultFile:
    """The faults injected between pages and API; start the server with its `settings`."""
    return FaultFile(tmp_path_factory.mktemp("faults") / "faults.json")


@pytest.fixture(scope="module")
def settings() -> dict[str, str]:
    """Extra environment variables for a file's server; override in a file."""
    return {}


@pytest.fixture(scope="module")
def begin() -> Callable[..., AbstractContextManager[RunyardServer]]:
    """The starter of a file's server; files that test the start override it with `fresh_server`."""
    return running_server


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory,
    begin: Callable[..., AbstractContextManager[RunyardServer]],
    settings: dict[str, str],
) -> Iterator[RunyardServer]:
    """A server for the tests of one file; an ERROR in its log fails the last test."""
    with begin(tmp_path_factory.mktemp("data"), **FAST | settings) as running:
        yield running
    errors = [line for line in running.log.splitlines() if is_error(line)]
    assert not errors, "\n".join(errors)


def is_error(line: str) -> bool:
    """Return True for a log line at ERROR or above, and for one that is not JSON."""
    try:
        return json.loads(line).get("level") in ("error", "critical")
    except ValueError:
        return bool(line.strip())


class Consoles:
    """Console messages, page errors and dialogs of the browsers; `expect` allows some of them."""

    def __init__(self) -> None:
        self._said: list[str] = []
        self._expected: list[str] = []

    def watch(self, page: Page) -> None:
        """Record the messages of a page."""
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self._said.append(f"page error: {error}"))
        page.on("dialog", self._hear_dialog)

    def expect(self, pattern: str) -> None:
        """Allow messages that match this regular expression."""
        self._expected.append(pattern)

    @property
    def heard(self) -> list[str]:
        """All messages, also the expected ones."""
        return list(self._said)

    @property
    def complaints(self) -> list[str]:
        """The messages that were not expected."""
        return [s for s in self._said if not any(re.search(e, s) for e in self._expected)]

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._said.append(f"{message.text} ({message.location.get('url', '')})")

    def _hear_dialog(self, dialog: Any) -> None:
        self._said.append(f"a dialog: {dialog.message}")
        dialog.dismiss()


@pytest.fixture
def consoles() -> Iterator[Consoles]:
    """The consoles of all pages of the test."""
    consoles = Consoles()
    yield consoles
    assert not consoles.complaints


@pytest.fixture
def open_page(browser: Browser, consoles: Consoles) -> Iterator[OpenPage]:
    """`open_page(**context)` opens a page in a new browser context, not signed in."""
    contexts = []

    def open_one(**context: Any) -> Page:
        made = browser.new_context(**{"viewport": WIDE, **context})
        contexts.append(made)
        page = made.new_page()
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        consoles.watch(page)
        return page

    yield open_one
    for context in contexts:
        context.close()


@pytest.fixture
def sign_in(open_page: OpenPage, server: RunyardServer) -> OpenPage:
    """`sign_in(**context)` opens the Projects page in a new context, signed in."""

    def enter(**context: Any) -> Page:
        page = open_page(**context)
        page.goto(server.new_link())
        page.wait_for_selector(".shell")
        return page

    return enter


@pytest.fixture
def signed_in(sign_in: OpenPage) -> Page:
    """A signed-in page."""
    return sign_in()


@contextmanager
def signed_in_browser(
    browser: Browser, server: RunyardServer, *, link: str = "", **how: Any
) -> Iterator[BrowserContext]:
    """Open a browser context and sign it in, by a new link or this one, without drawing a page."""
    context = browser.new_context(**{"viewport": WIDE, **how})
    context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    # stays open and empty, so that all tabs share one renderer: a new one costs 0.15 s
    context.new_page()
    first = context.new_page()
    first.goto(link or server.new_link(), wait_until="commit")
    assert context.cookies(), "the link has not signed in"
    first.close()
    yield context
    context.close()


@pytest.fixture(scope="module")
def known_browser(browser: Browser, server: RunyardServer) -> Iterator[BrowserContext]:
    """A browser context that signs in once for all tests of a file, and keeps its cache."""
    # without movement a page at rest costs half
    with signed_in_browser(browser, server, reduced_motion="reduce") as context:
        yield context


@pytest.fixture
def tab(known_browser: BrowserContext, consoles: Consoles) -> Iterator[Page]:
    """An empty, signed-in tab of the file's browser: cheaper than `signed_in` by two thirds."""
    page = known_browser.new_page()
    consoles.watch(page)
    yield page
    close_tabs(known_browser)


def close_tabs(context: BrowserContext) -> None:
    """Close all tabs of a browser context but the empty one, the first."""
    for each in context.pages[1:]:
        each.close()
