"""The window around the page: its place, shortcuts and downloads."""

from __future__ import annotations

import os
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from app.native.page import LOOK_COOKIE
from app.native.place import Area, Place, keep


class HeldView:
    """Mixin over pywebview's window: opens at `place` and saves its last place to `place_file`.

    `on_loaded` is called once, when the first page has loaded.
    """

    place: Place
    place_file: Path
    on_loaded: Any

    def __init__(self, window: Any) -> None:
        super().__init__(window)  # type: ignore[call-arg]
        this: Any = self
        area = self.place.area
        this.resize(area.width, area.height)
        this.move(area.x, area.y)
        page = this.webview.page()
        page.loadFinished.connect(self._on_load_finished)
        # its browser keeps no cookies: the one with the user's look is saved with the place
        self._look = self.place.look
        page.profile().cookieStore().cookieAdded.connect(self._note_look)
        page.profile().cookieStore().cookieRemoved.connect(self._forget_look)
        _add_keys(this)

    def _on_load_finished(self, is_loaded: bool) -> None:
        # a load that was cut short by a click does not count
        if is_loaded:
            this: Any = self
            this.webview.page().loadFinished.disconnect(self._on_load_finished)
            type(self).on_loaded()

    def _note_look(self, cookie: Any) -> None:
        if cookie.name() == LOOK_COOKIE:
            self._look = bytes(cookie.value()).decode("ascii", "replace")

    def _forget_look(self, cookie: Any) -> None:
        if cookie.name() == LOOK_COOKIE:
            self._look = None

    def closeEvent(self, event: Any) -> None:
        """Save the window's place."""
        this: Any = self
        is_maximized = this.isMaximized()
        box = this.normalGeometry() if is_maximized else this.geometry()
        # `move` sets the corner of the frame, `resize` the size of its contents
        corner = box.topLeft() if is_maximized else this.pos()
        area = Area(corner.x(), corner.y(), box.width(), box.height())
        keep(self.place_file, Place(area, is_maximized, self._look))
        super().closeEvent(event)  # type: ignore[misc]

    def on_download_requested(self, download: Any) -> None:
        """Ask where to save a download; pywebview's own handler does not work with Qt 6."""
        dialog = import_module("PySide6.QtWidgets").QFileDialog
        suggested = Path(download.downloadDirectory(), Path(download.downloadFileName()).name)
        path, _ = dialog.getSaveFileName(self, "Save", str(suggested))
        if not path:
            download.cancel()
            return
        download.setDownloadDirectory(os.path.dirname(path))
        download.setDownloadFileName(os.path.basename(path))
        download.accept()


def held_view(base: type, **held: Any) -> type:
    """Return pywebview's window `base` with HeldView mixed in; `held` are class attributes."""

    class View(HeldView, base):
        pass

    for name, value in held.items():
        setattr(View, name, value)
    return View


def _add_keys(view: Any) -> None:
    gui = import_module("PySide6.QtGui")
    page, keys = view.webview.page(), gui.QKeySequence.StandardKey
    for key, action in (
        (keys.Back, page.WebAction.Back),
        (keys.Forward, page.WebAction.Forward),
        (keys.Refresh, page.WebAction.Reload),
    ):
        gui.QShortcut(key, view, partial(page.triggerAction, action))
    for key in (keys.Close, keys.Quit):
        gui.QShortcut(key, view, view.close)
