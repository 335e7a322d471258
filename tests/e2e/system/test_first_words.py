"""Terminal output of a first start, and the command shown on the sign-in page."""

from __future__ import annotations

import os
import pty
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.builders.databases import own_database
from tests.drivers.servers.forked_starts import ROOT, clean_environment
from tests.drivers.servers.processes import free_port
from tests.e2e.conftest import Consoles, OpenPage


@pytest.fixture
def said(tmp_path: Path) -> Iterator[list[str]]:
    """The terminal's lines at a first start, up to the end of the welcome."""
    folder = tmp_path / "data"
    folder.mkdir()
    databases = {f"RUNYARD_{n.upper()}": url for n, url in own_database(folder).items()}
    words = ["serve", "--no-open", "--port", str(free_port()), "--data-dir", str(folder)]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "main.py", *words],
        cwd=ROOT,
        env=clean_environment() | databases,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    with os.fdopen(ours, encoding="utf-8") as terminal:
        lines = []
        for line in terminal:
            lines.append(line.strip())
            if line.startswith("Another link"):
                break
        yield [line for line in lines if line]
        process.terminate()
        process.wait(30)


def test_a_terminal_gets_the_link_and_the_command_for_another_and_no_log(
    said: list[str], open_page: OpenPage, consoles: Consoles
) -> None:
    assert said[0] == "Runyard is ready. Open this link once, within 5 minutes:"
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/login\?token=\S{43}", said[1])
    assert len(said) == 3
    command = said[2].removeprefix("Another link: ")

    consoles.expect("401")
    page = open_page()
    page.goto(said[1].partition("/login")[0] + "/settings?tab=Limits")
    expect(page.locator("code").first).to_have_text(command)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    link = subprocess.run(
        shlex.split(command), env=clean_environment(), capture_output=True, text=True, check=True
    )
    page.goto(link.stdout.strip())
    expect(page.get_by_test_id("live-badge")).to_have_text("Live")
    assert page.url.endswith("/settings?tab=Limits")
