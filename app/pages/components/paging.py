"""Tabs, and the links to the previous and next page of a list."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from app.pages.components.markup import clean, text


def chosen_tab(names: Sequence[str], asked: str) -> str:
    """Return the tab named in the address, or the first one."""
    return next((name for name in names if name.lower() == asked.lower()), names[0])


class Tabs:
    """A row of tabs, addressed by `?tab=`; `path` is their page if it is not the current one."""

    def __init__(self, names: Sequence[str], chosen: str, *, about: str, path: str = "") -> None:
        self._words: dict[str, ui.html] = {}
        with ui.element("nav").classes("tabs") as row:
            row.props["aria-label"] = about
            for name in names:
                with ui.link(target=f"{path}?tab={name.lower()}") as link:
                    self._words[name] = ui.html(text(name), sanitize=clean, tag="span")
                if name == chosen:
                    link.props("aria-current=page")

    def count(self, name: str, number: int) -> None:
        """Show a number after a tab's name."""
        self._words[name].set_content(text(f"{name} {number}"))


def pages_html(links: Sequence[tuple[str, str]]) -> str:
    """Return links from (address, label) pairs; empty if there are none."""
    made = [f'<a class="btn smallall" href="{text(href)}">{word}</a>' for href, word in links]
    return f'<div class="pages">{"".join(made)}</div>' if made else ""
