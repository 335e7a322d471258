"""People of several organisations, each invited by the machine's operator and signed in."""

from __future__ import annotations

from collections.abc import Callable

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
