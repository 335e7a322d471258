"""The names this server answers under: one for pages and their cookie, the others for programs."""

from __future__ import annotations

import re
from collections.abc import Collection

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
_PORT = r"(?::[1-9][0-9]{0,4})?"


class HostNames:
    """Reads Host headers; `port` is the one people ask for, `further` are more exact values.

    Cookies know no ports: whatever else listens on 127.0.0.1 gets those of 127.0.0.1. A page name
    below `.localhost` is this server's alone, so it is taken at every port, as a forwarded one is.
    """

    def __init__(self, page_name: str, *, port: int, further: Collection[str] = ()) -> None:
        self._page_name = page_name
        at = f":{port}" if port != 80 else "(?::80)?"
        own = "|".join(map(re.escape, LOOPBACK_NAMES))
        self._further = frozenset(further)
        self._loopback = re.compile(f"(?:{own}){at}")
        # any other page name is answered at its own port alone: to lead there would lead in circles
        of_page = _PORT if page_name.endswith(".localhost") else at
        self._elsewhere = re.compile(f"(?:{own}){of_page}")
        self._page = re.compile(re.escape(page_name) + of_page)

    def has(self, host: str) -> bool:
        """True for a Host, name and port, that is answered."""
        return (
            self.is_of_pages(host)
            or self._loopback.fullmatch(host) is not None
            or host in self._further
        )

    def is_of_pages(self, host: str) -> bool:
        """True for the one name that pages and their cookie have."""
        return self._page.fullmatch(host) is not None

    def leads_to_pages(self, host: str) -> bool:
        """True for another name of this machine: browsers are sent on from there."""
        return not self.is_of_pages(host) and (
            host in self._further or self._elsewhere.fullmatch(host) is not None
        )

    def page_host(self, host: str) -> str:
        """The Host of the pages for a browser that asked for `host`: our name, the same port."""
        port = host.rpartition(":")[2]
        return f"{self._page_name}:{port}" if port.isdecimal() else self._page_name

    def is_page_origin(self, origin: str | None) -> bool:
        """True for the origin that a page of ours has."""
        scheme, _, host = (origin or "").partition("://")
        return scheme in ("http", "https") and self.is_of_pages(host)
