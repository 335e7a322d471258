"""What runs in the window's own process: pywebview's window, held to our server."""

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
    """What is to be shown; `answers` and `line` are the descriptors to whoever opened us."""

    link: str
    icon: str
    place_file: str
    answers: int
    line: int


def show(order: Order) -> None:
    """Show the window until it is closed or nobody holds the line any more; does not return."""
    os.environ["QT_API"] = "pyside6"
    if os.geteuid() == 0:
        os.environ["QTWEBENGINE_DISABLE_SANDBOX"] = "1"  # Chromium has none for root
    # what desktops call the program by, and all that Qt and Chromium get of a command line
    sys.argv = [TITLE.lower()]
    # by name: an extra, which type checkers need not find
    webview: Any = import_module("webview")
    qt: Any = import_module("webview.platforms.qt")
    qt.setup_app()
    place_file = Path(order.place_file)
    place = fit(recall(place_file), _screens(qt))
    # pywebview makes windows of this name: ours go nowhere else, and remember where they stood
    qt.BrowserView = held_view(
        qt.BrowserView,
        WebPage=held_page(order.link, place.look),
        place=place,
        place_file=place_file,
        told=partial(os.write, order.answers, b"shown\n"),
    )
    webview.settings["ALLOW_DOWNLOADS"] = True
    webview.settings["ALLOW_FILE_URLS"] = False
    window = webview.create_window(
        TITLE, order.link, min_size=(LEAST_WIDTH, LEAST_HEIGHT), maximized=place.is_maximized
    )
    # not as `js_api`: every attribute of an object, and theirs, could be called from the page
    window.expose(_folder_chooser(webview, window))
    threading.Thread(target=_watch, args=(order.line, window), daemon=True).start()
    webview.start(gui="qt", icon=order.icon)
    # what is left is Qt's own end, which is not always a good one
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
        """Ask for a folder; its path, None where none was chosen or the question is open."""
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
