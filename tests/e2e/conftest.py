"""A real server and a real Chromium."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, BrowserType, Page

from tests.servers import RunyardServer, running_server

QUIET = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def browser_type_launch_args(
    browser_type_launch_args: dict[str, Any], browser_type: BrowserType
) -> dict[str, Any]:
    """Playwright's own browser where it is installed, else the system's."""
    given = {**browser_type_launch_args, "args": list(QUIET)}
    if not Path(browser_type.executable_path).is_file():
        found = os.environ.get("CHROMIUM_PATH") or shutil.which("chromium")
        if found is None:
            pytest.skip("no Chromium: set CHROMIUM_PATH or install one")
        given["executable_path"] = found
    if os.geteuid() == 0:
        given["args"].append("--no-sandbox")
    return given


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunyardServer]:
    """One server for the tests of a module."""
    with running_server(tmp_path_factory.mktemp("house") / "data") as server:
        yield server


@pytest.fixture
def signed_in(context: BrowserContext, server: RunyardServer) -> Page:
    """A signed-in page on the projects."""
    page = context.new_page()
    page.goto(server.new_link())
    page.wait_for_selector(".shell")
    return page
