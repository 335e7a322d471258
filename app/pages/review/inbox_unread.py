"""The inbox's unread items: their number beside the title, and what marks them as read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas.inbox import UnreadOut
from app.domain.review.inbox import is_about
from app.pages.components.buttons import button
from app.pages.components.markup import clean
from app.pages.components.testids import testid
from app.pages.shell.frame import Page
from app.pages.shell.page_session import PageSession
from app.state.review.inbox_board import InboxBoard

# how long an item is looked at until it counts as read: walking past it is not reading
DWELL_SECONDS = 0.5


class _Dwell:
    """The clock of what is looked at; another look begins it anew."""

    def __init__(self, session: PageSession) -> None:
        self._timer: asyncio.TimerHandle | None = None
        session.on_close(self.stop)

    def begin(self, act: Callable[[], object]) -> None:
        self.stop()
        self._timer = asyncio.get_running_loop().call_later(DWELL_SECONDS, act)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class OpenedItems:
    """The items that a page is about: read once a browser has shown the page for a moment.

    `subject` is the id of a run or a project, or `project:number` of a change.
    """

    def __init__(self, session: PageSession, subject: str) -> None:
        self._session, self._subject = session, subject
        dwell = _Dwell(session)
        session.on_arrival(lambda: dwell.begin(lambda: session.start(self._read())))

    async def _read(self) -> None:
        api = self._session.api
        try:
            unread = await api.unread()
            if ids := [one for one in unread.ids if is_about(one, self._subject)]:
                await api.read_items(ids)
        except (ApiProblem, NoAnswer):
            return  # they stay unread, as the rail says; nobody pressed anything


class UnreadItems:
    """The badge, the button that marks all as read, and the clock of the selected row."""

    def __init__(
        self, session: PageSession, page: Page, board: InboxBoard, redraw: Callable[[], None]
    ) -> None:
        self._session, self._board, self._redraw = session, board, redraw
        self._dwell = _Dwell(session)
        with page.beside:
            self._badge = testid(ui.html("", sanitize=clean, tag="span"), "unread-badge")
            self._badge.classes("lab new-count")
        with page.actions:
            self._all = button("Mark all as read", self._read_all, kind="bare", mark="read-all")
        self._show(session.system.unread or 0)
        self._look = session.looker(session.api.unread, self._take)
        session.on("inbox.changed", lambda _: self._look())
        session.on("inbox.read", lambda _: self._look())
        session.on_return(self._look)

    def pick(self, item_id: str) -> None:
        """Mark an item as read once it has been selected for a moment."""
        self._dwell.begin(lambda: self._read_soon(item_id))

    def _read_soon(self, item_id: str) -> None:
        if self._board.mark_read(item_id):
            self._session.start(self._read([item_id]))

    async def _read_all(self) -> None:
        await self._read(None)

    async def _read(self, ids: list[str] | None) -> None:
        try:
            self._take(await self._session.api.read_items(ids))
        except (ApiProblem, NoAnswer) as problem:
            if not self._session.client.is_deleted:
                self._session.refuse(problem)
                await self._look()

    def _take(self, seen: UnreadOut) -> None:
        if self._session.client.is_deleted:
            return
        self._board.set_unread(seen.ids)
        self._show(seen.unread)
        self._redraw()

    def _show(self, number: int) -> None:
        self._badge.set_content(f"{number} unread" if number else "")
        self._badge.set_visibility(bool(number))
        self._all.set_visibility(bool(number))
