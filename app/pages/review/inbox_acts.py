"""The buttons of the selected item: in the pane beside the list, or in a bar below it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from nicegui import ui

from app.api.schemas.inbox import InboxItem
from app.domain.review.inbox import RESOLVE, ItemKind
from app.pages.components.absent import ABSENT, Absent
from app.pages.components.browser import prop_of
from app.pages.components.buttons import button, link_button
from app.pages.components.icons import icon
from app.pages.components.markup import clean, plain, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession
from app.state.review.inbox_board import (
    DEED_OF_KIND,
    InboxBoard,
    acts_here,
    deed_of,
    is_scheduled,
)


@dataclass(frozen=True)
class ItemDeeds:
    """The deeds on an item: its main action, and the other decisions on a change."""

    act: Callable[[InboxItem], Awaitable[None]]
    request: Callable[[InboxItem], Awaitable[None]]
    close: Callable[[InboxItem], None]
    resolve: Callable[[InboxItem], Awaitable[None]]


class ItemActs:
    """The buttons, drawn once: they act on what is selected when the press arrives."""

    def __init__(
        self, session: PageSession, board: InboxBoard, deeds: ItemDeeds, *, marks: str = ""
    ) -> None:
        self._session, self._board, self._deeds = session, board, deeds
        with ui.element("div").classes("acts"):
            self._busy = ui.html("", sanitize=clean, tag="span").classes("btn off")
            self._draw_decisions(marks)
            self._main: ui.button | Absent = ABSENT
            if any(map(session.may_somewhere, DEED_OF_KIND.values())):
                mark = f"{marks}preview-action"
                self._main = button("", self._press, kind="pri", mark=mark, key="m")
            self._way = link_button("", "/", kind="pri", mark=f"{marks}preview-way")
            ui.element("span").classes("sp")
            open_it = link_button("Open", "/", kind="bare", mark=f"{marks}preview-open")
            with open_it as self._open:
                ui.html(icon("corner-down-left", kind="s"), sanitize=clean, tag="span")

    def _draw_decisions(self, marks: str) -> None:
        offer = self._session.offer_somewhere
        # of this and Merge one is shown: the key presses what most people do next
        mark = f"{marks}resolve-conflicts"
        self._fix = offer(
            "resolve_conflicts", lambda: button(RESOLVE, self._resolve, mark=mark, key="m")
        )
        self._merge = offer(
            "merge",
            lambda: button("Merge", self._press, kind="pri", mark=f"{marks}change-merge", key="m"),
        )
        self._request = offer(
            "request_changes",
            lambda: button("Request changes", self._ask, mark=f"{marks}change-request", key="r"),
        )
        self._closing = offer(
            "close", lambda: button("Close", self._close, mark=f"{marks}change-close", key="e")
        )

    def show(self, item: InboxItem) -> None:
        """Offer what can be done with this item."""
        word = self._board.word_of(item)
        self._busy.set_content(text(word))
        self._busy.set_visibility(bool(word))
        is_change = item.kind is ItemKind.CHANGE
        self._offer_close(item, is_shown=is_change and not word)
        may = partial(self._session.may, project_id=item.project_id)
        # no agent made a change without a run: there is none to ask
        has_agent = item.run_id is not None
        self._request.set_visibility(
            is_change and not word and has_agent and may("request_changes")
        )
        clashes = bool(item.facts and item.facts.conflicts)
        can_merge = is_change and not clashes and not is_scheduled(item)
        self._merge.set_visibility(can_merge and not word and may("merge"))
        # while several are picked, the bar below the list has the primary button
        is_first = not self._board.picked
        self._fix.set_visibility(clashes and not word and has_agent and may("resolve_conflicts"))
        _make_primary(self._fix, is_first)
        _make_primary(self._merge, is_first)
        is_here = acts_here(self._session.api, item)
        may_act = may_do(self._session, item)
        self._main.set_text(item.action)
        self._main.set_visibility(is_here and may_act and not is_change and not word)
        self._way.set_text(item.action)
        self._way.set_visibility(not is_here and may_act)
        for link in (self._way, self._open):
            if prop_of(link, "href") != item.url:
                link.props["href"] = item.url
        self._open.set_visibility(item.action != "Open" or not may_act)

    def _offer_close(self, item: InboxItem, *, is_shown: bool) -> None:
        self._closing.set_visibility(is_shown and self._session.may("close", item.project_id))

    async def _resolve(self) -> None:
        if item := self._board.selected:
            self._fix.set_enabled(False)
            try:
                await self._deeds.resolve(item)
            finally:
                self._fix.set_enabled(True)

    async def _press(self) -> None:
        if item := self._board.selected:
            await self._deeds.act(item)

    async def _ask(self) -> None:
        if item := self._board.selected:
            await self._deeds.request(item)

    def _close(self) -> None:
        if item := self._board.selected:
            self._deeds.close(item)


def may_do(session: PageSession, item: InboxItem) -> bool:
    """Return True if this person may do an item's main action; anybody may open its page."""
    deed = deed_of(item)
    return not deed or session.may(deed, item.project_id)


def _make_primary(made: ui.element, is_primary: bool) -> None:
    made.classes("pri") if is_primary else made.classes(remove="pri")


class ItemBar:
    """The selected item where there is no preview: what to do with it, in reach of a thumb."""

    def __init__(self, session: PageSession, board: InboxBoard, deeds: ItemDeeds) -> None:
        self._board = board
        with testid(ui.element("div").classes("item-bar"), "inbox-bar") as self.element:
            self._title = ui.html("", sanitize=clean).classes("clip")
            self._acts = ItemActs(session, board, deeds, marks="bar-")

    def follow(self) -> None:
        """Offer what can be done with the selected item."""
        item = self._board.selected
        self.element.set_visibility(item is not None)
        if item is not None:
            self._title.set_content(text(plain(item.title)))
            self._acts.show(item)
