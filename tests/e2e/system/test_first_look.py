"""The browser opened at server start: signed in by a posted secret that no other user can read."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import expect

from tests.builders.databases import own_database
from tests.drivers.servers.forked_starts import SERVER, clean_environment, start_forked
from tests.drivers.servers.processes import free_port
from tests.e2e.conftest import OpenPage


@dataclass
class Start:
    """A server started by a person: its terminal, and the file of addresses it opened."""

    terminal: TextIO
    folder: Path
    browsed: Path
    port: int

    def line(self) -> str:
        """Return the next line of the terminal that is not blank."""
        return next(line.strip() for line in self.terminal if line.strip())

    def file(self) -> Path:
        """Return the file that the browser was asked to open."""
        [address] = self.browsed.read_text().splitlines()
        assert address.startswith("file:///")
        return Path(unquote(urlsplit(address).path))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A server whose browser only records the address it was asked for."""
    browsed, browser, folder = tmp_path / "browsed", tmp_path / "browser", tmp_path / "data"
    folder.mkdir()
    browser.write_text(f'#!/bin/sh\necho "$*" >"{browsed}.half"; mv "{browsed}.half" "{browsed}"\n')
    browser.chmod(0o700)
    port = free_port()
    databases = {f"RUNYARD_{n.upper()}": url for n, url in own_database(folder).items()}
    words = ["serve", "--port", str(port), "--data-dir", str(folder)]
    reading, writing = os.pipe()
    with open(os.devnull, "r+") as nothing:
        process = start_forked(
            SERVER,
            words,
            clean_environment() | databases | {"BROWSER": str(browser)},
            (nothing.fileno(), writing, nothing.fileno()),
        )
    os.close(writing)
    with os.fdopen(reading) as terminal:
        yield Start(terminal, folder, browsed, port)
        process.terminate()
        process.wait(30)


def test_a_start_opens_the_page_by_a_file_and_the_terminal_needs_no_link(
    start: Start, open_page: OpenPage
) -> None:
    assert start.line() == f"Runyard is ready at http://127.0.0.1:{start.port}"
    file = start.file()
    assert file.parent == start.folder
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    page = open_page()
    page.goto(file.as_uri())
    expect(page.get_by_test_id("live-badge")).to_have_text("Live")
    assert re.fullmatch(rf"http://[0-9a-f]{{12}}\.localhost:{start.port}/", page.url)


def test_if_no_person_has_signed_in_after_five_seconds_the_terminal_has_a_link(
    start: Start, open_page: OpenPage
) -> None:
    said = [start.line() for _ in range(3)]
    assert said[1] == "Runyard is ready. Open this link once, within 5 minutes:"
    page = open_page()
    page.goto(said[2])
    expect(page.get_by_test_id("live-badge")).to_have_text("Live")
