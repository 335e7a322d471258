"""The window around the page: where it stands, its keys, its downloads."""

from __future__ import annotations

import os
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from app.native.page import LOOK_COOKIE
from app.native.place import Area, Place, keep


class HeldView:
    """Laid over pywebview's window, to stand at `place` and to keep in `place_file` how it is left.

    `told` is called when a page is there for the first time.
    """

    place: Place
    place_file: Path
    told: Any

    def __init__(self, window: Any) -> None:
        super().__init__(window)  # type: ignore[call-arg]
        this: Any = self
        area = self.place.area
        this.resize(area.width, area.height)
        this.move(area.x, area.y)
        page = this.webview.page()
        page.loadFinished.connect(self._tell)
        # its browser keeps nothing: the one cookie that is a person's wish is kept with the place
        self._look = self.place.look
        page.profile().cookieStore().cookieAdded.connect(self._note_look)
        page.profile().cookieStore().cookieRemoved.connect(self._forget_look)
        _add_keys(this)

    def _tell(self, is_loaded: bool) -> None:
        # a load that a person's click ends was no load
        if is_loaded:
            this: Any = self
            this.webview.page().loadFinished.disconnect(self._tell)
            type(self).told()

    def _note_look(self, cookie: Any) -> None:
        if cookie.name() == LOOK_COOKIE:
            self._look = bytes(cookie.value()).decode("ascii", "replace")

    def _forget_look(self, cookie: Any) -> None:
        if cookie.name() == LOOK_COOKIE:
            self._look = None

    def closeEvent(self, event: Any) -> None:
        """Keep how the window is left."""
        this: Any = self
        is_maximized = this.isMaximized()
        box = this.normalGeometry() if is_maximized else this.geometry()
        # `move` takes the corner of the frame, `resize` the size of what is in it
        corner = box.topLeft() if is_maximized else this.pos()
        area = Area(corner.x(), corner.y(), box.width(), box.height())
        keep(self.place_file, Place(area, is_maximized, self._look))
        super().closeEvent(event)  # type: ignore[misc]

    def on_download_requested(self, download: Any) -> None:
        """Ask where to put a download; pywebview's own way is one that Qt 6 does not know."""
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
    """pywebview's window `base` with HeldView over it; `held` are its attributes."""

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
