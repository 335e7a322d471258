"""People of several organisations, each invited by the machine's operator and signed in."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from uuid import uuid4

import pytest
from playwright.sync_api import Page

from tests.drivers.people import PASSWORD
from tests.drivers.servers.processes import RunyardServer
from tests.e2e.conftest import OpenPage

Join = Callable[..., Page]


def accept(page: Page, link: str) -> None:
    """Set a password by an invitation, and sign in with it."""
    page.goto(link)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("button").first.click()
    page.wait_for_selector(".shell")


def let_sign_ins_age(server: RunyardServer) -> None:
    """Make every session one that was proved sixteen minutes ago.

    What the server remembers of sessions goes with any change of a person.
    """
    with closing(sqlite3.connect(server.data_dir / "runyard.db")) as database:
        database.execute(
            "UPDATE session SET proved_at = strftime('%Y-%m-%d %H:%M:%f', proved_at, '-16 minutes')"
        )
        database.commit()
    with server.client() as api:
        somebody = {"email": f"{uuid4().hex}@example.com"}
        assert api.post("/people", json=somebody).status_code == 201


@pytest.fixture
def join(open_page: OpenPage, server: RunyardServer) -> Join:
    """`join(email, role=…, organisation=…)` invites a person and opens their browser."""

    def enter(email: str, **wishes: str) -> Page:
        with server.client() as api:
            invited = api.post("/people", json={"email": email, **wishes})
            assert invited.status_code == 201, invited.text
        page = open_page(reduced_motion="reduce")
        url = invited.json()["invitation"]["url"]
        accept(page, f"{server.page_url}{url[url.index('/login') :]}")
        return page

    return enter
