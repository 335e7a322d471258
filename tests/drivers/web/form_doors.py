"""Access to the no-script forms: a signed-in browser, its CSRF token, what forms can change."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.drivers.servers.workshop import Workshop

FORM = "application/x-www-form-urlencoded"


@contextmanager
def browser(shop: Workshop, **headers: str) -> Iterator[httpx.Client]:
    """A signed-in browser that sends these headers; by default, those of one of our own pages."""
    own = {"Origin": shop.server.page_url, "Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
    with shop.server.visitor() as caller:
        assert caller.get(shop.server.new_link()).status_code == 303
        caller.headers.update(own | {name.replace("_", "-"): v for name, v in headers.items()})
        yield caller


def secret_of(caller: httpx.Client) -> str:
    """Return the CSRF token of the browser's session."""
    page = caller.get("/plain", headers={"Origin": f"http://{caller.headers['Host']}"}).text
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None
    return found[1]


def state(shop: Workshop) -> tuple[Any, Any]:
    """Return all the state that a form could change: runs and projects."""
    return shop.api.get("/runs").json(), shop.api.get("/projects").json()
