"""The window's own process: a pywebview window confined to our server."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from app.native.page import held_page
from app.native.place import LEAST_HEIGHT, LEAST_WIDTH, Area, fit, recall
from app.native.view import held_view

TITLE = "Runyard"
END_SECONDS = 2.0


@dataclass(frozen=True)
class Order:
    """The window to show; `answers` and `line` are file descriptors to and from the opener."""

    link: str
    icon: str
    place_file: str
    answers: int
    line: int


def show(order: Order) -> None:
    """Show the window until it is closed or `line` is at its end; does not return."""
    os.environ["QT_API"] = "pyside6"
    if os.geteuid() == 0:
        os.environ["QTWEBENGINE_DISABLE_SANDBOX"] = "1"  # Chromium has no sandbox for root
    # desktops take the program's name from here; Qt and Chromium get no other arguments
    sys.argv = [TITLE.lower()]
    # imported by name: an optional extra that type checkers may not find
    webview: Any = import_module("webview")
    qt: Any = import_module("webview.platforms.qt")
    qt.setup_app()
    place_file = Path(order.place_file)
    place = fit(recall(place_file), _screens(qt))
    # pywebview creates windows of this class: ours is confined and remembers its place
    qt.BrowserView = held_view(
        qt.BrowserView,
        WebPage=held_page(order.link, place.look),
        place=place,
        place_file=place_file,
        on_loaded=partial(os.write, order.answers, b"shown\n"),
    )
    webview.settings["ALLOW_DOWNLOADS"] = True
    webview.settings["ALLOW_FILE_URLS"] = False
    window = webview.create_window(
        TITLE, order.link, min_size=(LEAST_WIDTH, LEAST_HEIGHT), maximized=place.is_maximized
    )
    # not as `js_api`: pages could then call every attribute of the object, recursively
    window.expose(_folder_chooser(webview, window))
    threading.Thread(target=_watch, args=(order.line, window), daemon=True).start()
    webview.start(gui="qt", icon=order.icon)
    # skip Qt's own shutdown, which does not always go well
    os._exit(0)


def _watch(line: int, window: Any) -> None:
    while os.read(line, 1):
        pass
    last_word = threading.Timer(END_SECONDS, os._exit, (0,))
    last_word.start()
    window.destroy()


def _screens(qt: Any) -> list[Area]:
    screens = qt.QApplication.screens()
    primary = qt.QApplication.primaryScreen()
    screens.sort(key=lambda screen: screen is not primary)
    free = [screen.availableGeometry() for screen in screens]
    return [Area(one.x(), one.y(), one.width(), one.height()) for one in free]


def _folder_chooser(webview: Any, window: Any) -> Any:
    asking = threading.Lock()

    def choose_folder() -> str | None:
        """Ask for a folder and return its path; None if none was chosen or a dialog is open."""
        if not asking.acquire(blocking=False):
            return None
        try:
            chosen = window.create_file_dialog(
                webview.FileDialog.FOLDER, directory=os.path.expanduser("~")
            )
        finally:
            asking.release()
        return chosen[0] if chosen else None

    return choose_folder
