"""The page in the window, confined to our server."""

from __future__ import annotations

import threading
import webbrowser
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from app.domain.own_window import MARK

_PORTS = {"http": 80, "https": 443}


LOOK_COOKIE = b"runyard_look"


def origin_of(url: str) -> tuple[str, str, int] | None:
    """Return scheme, host and port of a web address, None for any other."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname else None


def is_own(url: str, home: str) -> bool:
    """Return True for a page of the server at `home`: same scheme, host and port, no user name."""
    origin = origin_of(url)
    return origin is not None and origin == origin_of(home) and "@" not in urlsplit(url).netloc


def may_open_outside(url: str) -> bool:
    """Return True if the system's browser may open it: web addresses, never files or programs."""
    return origin_of(url) is not None


class HeldPage:
    """Mixin over Qt's page: web addresses outside `home` open in the system's browser only.

    Permission requests are denied; a click may write to the clipboard.
    """

    home: str
    look: str | None
    doorway: Any

    def __init__(self, parent: Any, profile: Any) -> None:
        super().__init__(profile, parent.webview)  # type: ignore[call-arg]
        this: Any = self
        this.permissionRequested.connect(lambda asked: asked.deny())
        profile.setHttpUserAgent(f"{profile.httpUserAgent()} {MARK}")
        if self.look:
            # set before the first page is requested
            cookie = import_module("PySide6.QtNetwork").QNetworkCookie
            url = import_module("PySide6.QtCore").QUrl(self.home)
            profile.cookieStore().setCookie(cookie(LOOK_COOKIE, self.look.encode()), url)
        settings = this.settings()
        settings.setAttribute(settings.WebAttribute.JavascriptCanAccessClipboard, True)

    def acceptNavigationRequest(self, url: Any, kind: Any, is_main_frame: bool) -> bool:
        """Return True for our own pages; open other web addresses in the system's browser."""
        address = url.toString(url.ComponentFormattingOption.FullyEncoded)
        if is_own(address, self.home):
            return True
        if is_main_frame and may_open_outside(address):
            # in a thread: with some browsers this returns only once they are closed
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        return False

    def createWindow(self, kind: Any) -> Any:
        """Return the page for a link that opens a new window."""
        return self.doorway(self)

    def javaScriptConsoleMessage(self, *said: Any) -> None:
        """Drop the console messages of pages: the log has no size limit."""


class Doorway:
    """Short-lived mixin over Qt's page: shows links to new windows in the one window there is."""

    def __init__(self, page: Any) -> None:
        super().__init__(page.profile(), page)  # type: ignore[call-arg]
        self._page = page

    def acceptNavigationRequest(self, url: Any, kind: Any, is_main_frame: bool) -> bool:
        """Return False: the window's page or the system's browser opens the address."""
        if self._page.acceptNavigationRequest(url, kind, is_main_frame):
            self._page.setUrl(url)
        this: Any = self
        this.deleteLater()
        return False


def held_page(home: str, look: str | None) -> type:
    """Return a Qt page class confined to the server of `home`; `look` is a pinned look or None."""
    core: Any = import_module("PySide6.QtWebEngineCore")

    class Door(Doorway, core.QWebEnginePage):
        pass

    class Page(HeldPage, core.QWebEnginePage):
        pass

    Page.home, Page.look, Page.doorway = home, look, Door
    return Page
