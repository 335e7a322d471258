"""The host names this server answers to: one for pages and their cookie, others for programs."""

# stands alone: rules of names, without a request or a response

from __future__ import annotations

import re
from collections.abc import Collection

from app.domain.system.addresses import HTTPS_PORT

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
_PORT = r"(?::[1-9][0-9]{0,4})?"


class HostNames:
    """Matches Host headers; `port` is the public port, `further` are more exact values.

    Cookies ignore ports: every server on 127.0.0.1 gets the cookies of 127.0.0.1. A page name below
    `.localhost` belongs to this server alone, so it is accepted at any port, as a forwarded one is.
    """

    def __init__(self, page_name: str, *, port: int, further: Collection[str] = ()) -> None:
        self._page_name = page_name
        at = f":{port}" if port != 80 else "(?::80)?"
        own = "|".join(map(re.escape, LOOPBACK_NAMES))
        self._further = frozenset(further)
        self._loopback = re.compile(f"(?:{own}){at}")
        # any other page name is accepted at its own port only: redirecting to it would loop
        of_page = _PORT if page_name.endswith(".localhost") else at
        self._elsewhere = re.compile(f"(?:{own}){of_page}")
        self._page = re.compile(re.escape(page_name) + of_page)

    def has(self, host: str) -> bool:
        """Return True for a Host value (name and port) that this server answers to."""
        return (
            self.is_of_pages(host)
            or self._loopback.fullmatch(host) is not None
            or host in self._further
        )

    def is_of_pages(self, host: str) -> bool:
        """Return True for the one host name of the pages and their cookie."""
        return self._page.fullmatch(host) is not None

    def leads_to_pages(self, host: str) -> bool:
        """Return True for another name of this machine, from which browsers are redirected."""
        return not self.is_of_pages(host) and (
            host in self._further or self._elsewhere.fullmatch(host) is not None
        )

    def page_host(self, host: str) -> str:
        """Return the page host to redirect a request for `host` to: our name, the same port."""
        port = host.rpartition(":")[2]
        return f"{self._page_name}:{port}" if port.isdecimal() else self._page_name

    def is_page_origin(self, origin: str | None) -> bool:
        """Return True for the origin of one of our pages."""
        scheme, _, host = (origin or "").partition("://")
        return scheme in ("http", "https") and self.is_of_pages(host)


class PublicNames(HostNames):
    """Matches the one Host and Origin of a server with a public URL, which is `https://host`."""

    def __init__(self, public_url: str) -> None:
        self._origin = public_url
        self._host = public_url.removeprefix("https://")
        super().__init__(self._host, port=HTTPS_PORT)

    def has(self, host: str) -> bool:
        """Return True for the public host."""
        return self.is_of_pages(host)

    def is_of_pages(self, host: str) -> bool:
        """Return True for the public host."""
        return host == self._host

    def leads_to_pages(self, host: str) -> bool:
        """Return False: nothing is redirected, since a browser is here or nowhere."""
        return False

    def is_page_origin(self, origin: str | None) -> bool:
        """Return True for the public origin."""
        return origin == self._origin
