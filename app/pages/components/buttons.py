"""Buttons and links that look like the mocks and keep the keyboard's ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui

from app.pages.components.marks import testid


def button(
    words: str,
    on_click: Callable[..., Any] | None,
    *,
    kind: str = "",
    mark: str = "",
    key: str = "",
) -> ui.button:
    """A button; `kind` adds classes (pri, danger, bare, small, ico), `key` is the letter for it."""
    made = ui.button(words, on_click=on_click, color=None)
    made.props("flat no-caps :ripple=false").classes(f"btn {kind}")
    return _finish(made, mark, key)


def link_button(words: str, href: str, *, kind: str = "", mark: str = "", key: str = "") -> ui.link:
    """A link in a button's clothes; `href` is a path of our own."""
    made = ui.link(words, href).classes(f"btn {kind}")
    return _finish(made, mark, key)


def _finish(made: Any, mark: str, key: str) -> Any:
    if key:
        made.props["data-key"] = key
        made.props["aria-keyshortcuts"] = key
        with made:
            ui.html(key.upper(), sanitize=True, tag="kbd").props("aria-hidden=true")
    return testid(made, mark) if mark else made
