"""The page in the window, which never leaves the server."""

from __future__ import annotations

import threading
import webbrowser
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from app.domain.own_window import MARK

_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of a web address, None for every other."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname else None


def is_own(url: str, home: str) -> bool:
    """True for a page of the server at `home`: same scheme, host and port, nobody's name in it."""
    origin = origin_of(url)
    return origin is not None and origin == origin_of(home) and "@" not in urlsplit(url).netloc


def may_open_outside(url: str) -> bool:
    """True for what a browser is asked to open: web addresses, never files nor programs."""
    return origin_of(url) is not None


LOOK_COOKIE = b"runyard_look"


class HeldPage:
    """Laid over Qt's page: addresses outside `home` are for the system's browser, if for anybody.

    Permissions are denied; the clipboard can be written by a click.
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
            # before the first page is asked for
            cookie = import_module("PySide6.QtNetwork").QNetworkCookie
            url = import_module("PySide6.QtCore").QUrl(self.home)
            profile.cookieStore().setCookie(cookie(LOOK_COOKIE, self.look.encode()), url)
        settings = this.settings()
        settings.setAttribute(settings.WebAttribute.JavascriptCanAccessClipboard, True)

    def acceptNavigationRequest(self, url: Any, kind: Any, is_main_frame: bool) -> bool:
        """True for our own pages; what a person asks for elsewhere is opened there."""
        address = url.toString(url.ComponentFormattingOption.FullyEncoded)
        if is_own(address, self.home):
            return True
        if is_main_frame and may_open_outside(address):
            # some browsers come back only when they are closed
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        return False

    def createWindow(self, kind: Any) -> Any:
        """What a link to a new window gets."""
        return self.doorway(self)

    def javaScriptConsoleMessage(self, *said: Any) -> None:
        """Keep what pages say out of the log, which has no bounds."""


class Doorway:
    """Laid over Qt's page for a moment: our own pages are shown in the one window there is."""

    def __init__(self, page: Any) -> None:
        super().__init__(page.profile(), page)  # type: ignore[call-arg]
        self._page = page

    def acceptNavigationRequest(self, url: Any, kind: Any, is_main_frame: bool) -> bool:
        """False always: the page behind the door goes there, or the browser."""
        if self._page.acceptNavigationRequest(url, kind, is_main_frame):
            self._page.setUrl(url)
        this: Any = self
        this.deleteLater()
        return False


def held_page(home: str, look: str | None) -> type:
    """Qt's page held to the server that `home` is an address of, with a look pinned or not."""
    core: Any = import_module("PySide6.QtWebEngineCore")

    class Door(Doorway, core.QWebEnginePage):
        pass

    class Page(HeldPage, core.QWebEnginePage):
        pass

    Page.home, Page.look, Page.doorway = home, look, Door
    return Page
