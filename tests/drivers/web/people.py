"""People signed in with a browser that has no JavaScript, only forms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.drivers.servers.workshop import Workshop

PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
CARD = {"X-Runyard-Fragment": "1"}


class Person:
    """A person signed in with a browser that has no JavaScript."""

    def __init__(self, shop: Workshop, browser: httpx.Client) -> None:
        self.shop = shop
        self.browser = browser

    def page(self, query: str = "") -> str:
        """Return the HTML of `/plain`."""
        answer = self.browser.get(f"/plain{query}")
        assert answer.status_code == 200, answer.text
        return answer.text

    @cached_property
    def secret(self) -> str:
        """The CSRF token in the page's forms; one for the whole session."""
        found = re.findall(r'name="csrf" value="([^"]+)"', self.page())
        assert len(set(found)) == 1
        return found[0]

    def send(
        self, action: str, headers: dict[str, str] | None = None, **fields: Any
    ) -> httpx.Response:
        """Submit a form with the session's CSRF token."""
        content = {"csrf": self.secret, **fields}
        return self.browser.post(f"/afk/{action}", data=content, headers=headers)

    def told(self, project: str) -> dict[str, Any]:
        """Return the project as the API gives it."""
        return dict(self.shop.api.get(f"/projects/{project}").json())

    def card(self, project: str) -> str:
        """Return the HTML of the project's card."""
        found = re.search(f'<article [^>]*data-project="{project}".*?</article>', self.page(), re.S)
        assert found is not None
        return found[0]


@contextmanager
def person(shop: Workshop, link: str = "") -> Iterator[Person]:
    """Sign a person in by this link, or by a new one."""
    own = {"Origin": shop.server.page_url, "Sec-Fetch-Site": "same-origin"}
    with shop.server.visitor() as browser:
        assert browser.get(link or shop.server.new_link()).status_code == 303
        browser.headers.update({**PAGE, **own})
        yield Person(shop, browser)


def notice_of(answer: httpx.Response) -> str:
    """Return the notice code in the redirect to `/plain`."""
    assert answer.status_code == 303, answer.text
    place = urlsplit(answer.headers["location"])
    assert (place.scheme, place.netloc, place.path) == ("", "", "/plain")
    return parse_qs(place.query)["notice"][0]
