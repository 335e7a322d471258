"""A filter as a button that names its value, with a menu of the others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from nicegui import ui

from app.pages.components.icons import icon
from app.pages.components.markup import clean, plain, plain_html, text
from app.pages.components.testids import testid

# stands alone: a part that other lists can use
# value and its words
Choice = tuple[str, str]


class FilterMenu:
    """One filter; `choices` are asked for each time the menu opens, the first means no filter."""

    def __init__(
        self,
        name: str,
        choices: Callable[[], Sequence[Choice]],
        choose: Callable[[str], Awaitable[None]],
        *,
        mark: str,
    ) -> None:
        self._name, self._choices, self._choose = name, choices, choose
        self._value = ""
        with ui.element("button").classes("btn quiet filter") as self._button:
            testid(self._button, mark).props("type=button aria-haspopup=menu")
            self._words = ui.html("", sanitize=clean, tag="span")
            with ui.menu().classes("menu").props("auto-close") as self._menu:
                self._menu.props["aria-label"] = name
        self._menu.on("before-show", self._fill)

    def show(self, value: str) -> None:
        """Show the present value."""
        words = dict(self._choices()).get(value, value)
        self._value = value
        self._words.set_content(
            f"{text(self._name)} <b>{plain_html(words)}</b>{icon('chevron-down', kind='s')}"
        )

    def _fill(self) -> None:
        self._menu.clear()
        with self._menu:
            for value, words in self._choices():
                item = ui.element("button").classes("item").on("click", partial(self._pick, value))
                item.props("type=button role=menuitemradio")
                item.props["aria-checked"] = str(value == self._value).lower()
                item.props["data-value"] = value
                with item:
                    ui.html(plain_html(plain(words)), sanitize=clean, tag="span").classes("clip")

    async def _pick(self, value: str) -> None:
        await self._choose(value)
