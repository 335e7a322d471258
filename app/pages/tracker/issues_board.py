"""The board: a column for each state, cards that are dragged or moved by keys within Ready."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

from nicegui import ui

from app.domain.tracker.issue_states import IssueState
from app.pages.components.browser import detail_of
from app.pages.components.buttons import button
from app.pages.components.icons import mark
from app.pages.components.keyed_rows import KeyedRows
from app.pages.components.markup import clean, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession
from app.pages.tracker.issue_rows import MARKS, card
from app.pages.tracker.issues_list import PRESSED
from app.state.tracker.issue_board import COLUMNS, GROUP_NAMES, IssueBoardState, key_of

HINT = "Drag a card, or press Alt with an arrow key, to change its place in the queue."
DETAIL = "(e) => emit(e.detail)"


class Hold(Protocol):
    """Stops drawing while a card is dragged."""

    def __call__(self, *, is_held: bool) -> None:
        """Stop drawing, or draw what came meanwhile."""
        ...


class Board:
    """The columns; each scrolls by itself."""

    def __init__(
        self,
        session: PageSession,
        state: IssueBoardState,
        act: Callable[[str], Awaitable[None]],
        drop: Callable[[str, int], Awaitable[None]],
        step: Callable[[str, int], Awaitable[None]],
        hold: Hold,
    ) -> None:
        self._session, self._state = session, state
        self._drop, self._step = drop, step
        self._parts: dict[IssueState, _Part] = {}
        with testid(ui.element("div").classes("issues-board"), "issues-board") as self._box:
            for states in COLUMNS:
                with ui.element("div").classes("col"):
                    for one in states:
                        self._parts[one] = _Part(one, self._show_all)

        def pressed(event: Any) -> Awaitable[None]:
            return act(str(event.args))

        self._box.on("click", pressed, js_handler=PRESSED)
        if session.may_somewhere("change_issue"):
            self._let_cards_move(hold)

    def _let_cards_move(self, hold: Hold) -> None:
        ready = self._parts[IssueState.READY].cards_box
        ready.props["data-drop"] = ""
        ready.props["title"] = HINT
        ready.on("dropped", self._dropped, js_handler=DETAIL)
        ready.on("stepped", self._stepped, js_handler=DETAIL)
        ready.on("grabbed", partial(hold, is_held=True), js_handler="() => emit()")
        ready.on("released", partial(hold, is_held=False), js_handler="() => emit()")

    def show(self, *, is_shown: bool) -> None:
        """Show the cards of all columns."""
        self._box.set_visibility(is_shown)
        if not is_shown:
            return
        for state, part in self._parts.items():
            group = self._state.column(state)
            part.head(group.count, group.loaded - len(group.rows), group.loaded)
            part.cards.show({key_of(one): card(one, self._session) for one in group.rows})

    def _show_all(self, state: IssueState) -> None:
        self._state.show_all(state)
        self.show(is_shown=True)

    async def _dropped(self, event: Any) -> None:
        sent = detail_of(event.args)
        if isinstance(place := sent.get("place"), int):
            await self._drop(str(sent.get("id")), place)

    async def _stepped(self, event: Any) -> None:
        sent = detail_of(event.args)
        if (step := sent.get("step")) in (-1, 1):
            await self._step(str(sent.get("id")), step)


class _Part:
    """One state: its heading with the count, and its cards."""

    def __init__(self, state: IssueState, show_all: Callable[[IssueState], None]) -> None:
        self._state = state
        with testid(ui.element("section"), "board-column", state=state) as box:
            box.props["aria-label"] = GROUP_NAMES[state]
            self._head = ui.html("", sanitize=clean, tag="h2")
            self.cards_box = ui.element("div").classes("cards-of").props("role=list")
            self.cards = KeyedRows(self.cards_box, "board-card")
            self._more = button("", partial(show_all, state), kind="small quiet", mark="group-more")

    def head(self, count: int, hidden: int, loaded: int) -> None:
        """Show the heading, and the button for cards that are not shown."""
        self._head.set_content(
            f"{mark(MARKS[self._state])}<span>{text(GROUP_NAMES[self._state])}</span>"
            f'<span class="n num">{count}</span>'
        )
        self._more.set_visibility(hidden > 0)
        self._more.set_text(f"Show all {loaded}")
