"""Buttons and links styled like the mocks, with keyboard shortcuts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from nicegui import ui

from app.domain.own_window import is_own_window
from app.pages.components.markup import clean
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession

ARMED_SECONDS = 5.0
# `choose_folder` returns a path, or nothing if the dialog was cancelled
CHOOSE = (
    "async () => { const folder = await window.pywebview?.api?.choose_folder?.();"
    " if (folder) emit(folder); }"
)


def button(
    words: str,
    on_click: Callable[..., Any] | None,
    *,
    kind: str = "",
    mark: str = "",
    key: str = "",
) -> ui.button:
    """Create a button; `kind` adds classes (pri, rec, danger, quiet, small, ico), `key` clicks."""
    made = ui.button(words, on_click=on_click, color=None)
    made.props("flat no-caps :ripple=false").classes(f"btn {kind}")
    return _finish(made, mark, key)


def link_button(words: str, href: str, *, kind: str = "", mark: str = "", key: str = "") -> ui.link:
    """Create a link styled as a button; `href` is a path on this server."""
    made = ui.link(words, href).classes(f"btn {kind}")
    return _finish(made, mark, key)


def _finish(made: Any, mark: str, key: str) -> Any:
    if key:
        made.props["data-key"] = key
        made.props["aria-keyshortcuts"] = key
        with made:
            ui.html(key, sanitize=clean, tag="kbd").props("aria-hidden=true")
    return testid(made, mark) if mark else made


class ConfirmButton:
    """A button that needs two presses; the armed state is kept on the server."""

    def __init__(
        self,
        words: str,
        ask: str,
        act: Callable[[], Awaitable[None]],
        *,
        kind: str = "",
        mark: str = "",
    ) -> None:
        self._words, self._ask, self._act = words, ask, act
        self._timer: ui.timer | None = None
        self.element = button(words, self._press, kind=kind, mark=mark)
        self.element.on("keydown.esc", self.disarm)

    @property
    def is_armed(self) -> bool:
        """True while a second press would act."""
        return self._timer is not None

    def disarm(self) -> None:
        """Return to the unarmed state."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.element.set_text(self._words)
        self.element.classes(remove="armed")

    def show(self, busy: str) -> None:
        """Show a busy label and disable the button; with an empty label, enable it.

        An armed button stays armed when `busy` is empty: a page update is not an answer to it.
        """
        if busy:
            self.disarm()
            self.element.set_text(busy)
        elif not self.is_armed:
            self.element.set_text(self._words)
        self.element.set_enabled(not busy)

    async def _press(self) -> None:
        if self._timer is None:
            with self.element:
                self._timer = ui.timer(ARMED_SECONDS, self.disarm, once=True)
            self.element.set_text(self._ask)
            self.element.classes("armed")
            return
        self.disarm()
        await self._act()


def add_folder_button(session: PageSession, field: Any, *, mark: str) -> None:
    """Add `Browse…` to the end of a text field when the page runs in the desktop window."""
    if not is_own_window(session.client.request.headers.get("user-agent", "")):
        return

    def take(event: Any) -> None:
        if isinstance(event.args, str):
            field.set_value(event.args)

    with field.add_slot("append"):
        made = button("Browse…", None, kind="small", mark=mark)
    made.on("click", take, js_handler=CHOOSE)
