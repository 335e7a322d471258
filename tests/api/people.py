"""Somebody signed in with a browser that knows forms only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.api.workshop import Workshop

PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
CARD = {"X-Runyard-Fragment": "1"}


class Person:
    """Somebody signed in with a browser that knows forms only."""

    def __init__(self, shop: Workshop, browser: httpx.Client) -> None:
        self.shop = shop
        self.browser = browser

    def page(self, query: str = "") -> str:
        """What `/plain` says."""
        answer = self.browser.get(f"/plain{query}")
        assert answer.status_code == 200, answer.text
        return answer.text

    @property
    def secret(self) -> str:
        """The form's secret, as it stands in the page."""
        found = re.findall(r'name="csrf" value="([^"]+)"', self.page())
        assert len(set(found)) == 1
        return found[0]

    def send(
        self, action: str, headers: dict[str, str] | None = None, **fields: Any
    ) -> httpx.Response:
        """Send a form with the session's own secret."""
        content = {"csrf": self.secret, **fields}
        return self.browser.post(f"/afk/{action}", data=content, headers=headers)

    def told(self, project: str) -> dict[str, Any]:
        """The project, as the API tells it."""
        return dict(self.shop.api.get(f"/projects/{project}").json())

    def card(self, project: str) -> str:
        """The project's card."""
        found = re.search(f'<article [^>]*data-project="{project}".*?</article>', self.page(), re.S)
        assert found is not None
        return found[0]


@contextmanager
def person(shop: Workshop, link: str = "") -> Iterator[Person]:
    """A person who signs in by a link, by a new one where none is given."""
    own = {"Origin": shop.server.page_url, "Sec-Fetch-Site": "same-origin"}
    with shop.server.visitor() as browser:
        assert browser.get(link or shop.server.new_link()).status_code == 303
        browser.headers.update({**PAGE, **own})
        yield Person(shop, browser)


def notice_of(answer: httpx.Response) -> str:
    """The code that the page it leads to will tell."""
    assert answer.status_code == 303, answer.text
    place = urlsplit(answer.headers["location"])
    assert (place.scheme, place.netloc, place.path) == ("", "", "/plain")
    return parse_qs(place.query)["notice"][0]
