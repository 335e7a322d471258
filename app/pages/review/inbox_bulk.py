"""Merging several changes: the bar of those picked, and the dialog of all that pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nicegui import ui

from app.api.schemas.inbox import InboxItem
from app.domain.review.inbox import Group
from app.pages.components.buttons import button
from app.pages.components.markup import clean, counted, plain, plain_html, text
from app.pages.components.testids import testid
from app.pages.review.inbox_rows import size_html
from app.pages.shell.page_session import PageSession
from app.state.review.bulk_merge import BulkEnd, merge_in_turn
from app.state.review.inbox_board import InboxBoard, action_of


class BulkMerge:
    """Merges one by one; the bar says how many are picked, and where it stopped."""

    def __init__(self, session: PageSession, board: InboxBoard, redraw: Callable[[], None]) -> None:
        self._session, self._board, self._redraw = session, board, redraw
        self._is_busy = False
        self._said = ""

    def draw_bar(self) -> None:
        """Draw the bar, hidden while nothing is picked and nothing is to be said."""
        with testid(ui.element("div").classes("bulk"), "bulk-bar") as self._bar:
            self._words = testid(ui.html("", sanitize=clean, tag="span"), "bulk-count")
            self._end = testid(ui.html("", sanitize=clean, tag="span"), "bulk-end")
            ui.element("span").classes("sp")
            self._merge = button(
                "", self._merge_picked, kind="small pri", mark="bulk-merge", key="m"
            )
            self._leave = button("Clear", self._clear, kind="small bare", mark="bulk-clear")
        self.show()

    def draw_offer(self) -> None:
        """Draw the button and the dialog of all that pass."""
        self._offer = button("", self._ask, kind="small bare", mark="merge-all")
        with ui.dialog() as self._dialog, ui.element("div").classes("sheet ask"):
            self._title = ui.html("", sanitize=clean, tag="h2")
            self._list = testid(ui.html("", sanitize=clean).classes("queue"), "merge-order")
            with ui.element("div").classes("foot"):
                ui.element("span").classes("sp")
                button("Cancel", self._dialog.close, kind="bare")
                self._sure = button(
                    "", self._merge_all, kind="pri", mark="merge-all-confirm", key="m"
                )
                self._sure.props("autofocus")

    def show(self) -> None:
        """Bring the bar and the offer in line with the board."""
        picked = len(self._board.picked)
        self._bar.set_visibility(bool(picked or self._said))
        self._words.set_content(f"{picked} selected" if picked else "")
        self._words.set_visibility(bool(picked))
        self._end.set_content(text(self._said))
        self._merge.set_visibility(bool(picked))
        self._merge.set_text("Merging…" if self._is_busy else f"Merge {picked}")
        self._merge.set_enabled(not self._is_busy)
        self._leave.set_text("Clear" if picked else "Close")
        passing = len(self._board.passing)
        self._offer.set_visibility(passing > 1)
        self._offer.set_text("Merging…" if self._is_busy else "Merge all that pass")

    def _clear(self) -> None:
        self._said = ""
        self._board.unpick()
        self._redraw()

    def _ask(self) -> None:
        passing = self._board.passing
        others = len(self._board.items(Group.REVIEW)) - len(passing)
        self._asked = [one.id for one in passing]
        self._title.set_content(f"Merge {counted(len(passing), 'change')}, one by one?")
        self._list.set_content(order_html(passing, others, self._session))
        self._sure.set_text(f"Merge {len(passing)}")
        self._dialog.open()

    async def _merge_all(self) -> None:
        self._dialog.close()
        # those that were shown: what has come since was not
        found = (self._board.find(one) for one in self._asked)
        await self._run([one for one in found if one is not None])

    async def _merge_picked(self) -> None:
        await self._run(self._board.picked)

    async def _run(self, items: Sequence[InboxItem]) -> None:
        if self._is_busy or not items:
            return
        self._is_busy, self._said = True, ""
        self._redraw()
        try:
            self._tell(await merge_in_turn(items, self._merge_one))
        finally:
            self._is_busy = False
            self._redraw()

    async def _merge_one(self, item: InboxItem) -> None:
        act = action_of(self._session.api, item)
        if act is not None:
            await self._board.act(item, act, self._redraw)

    def _tell(self, end: BulkEnd) -> None:
        if end.title:
            self._said = plain(end.sentence)
            self._session.announce(self._said)
        else:
            self._board.unpick()
            self._session.notify(end.sentence)


def order_html(items: Sequence[InboxItem], others: int, session: PageSession) -> str:
    """Return the changes in the order in which they are merged."""
    rows = "".join(_row_html(one, session) for one in items)
    words = "Oldest first. It stops at the first that conflicts."
    if others:
        verb = "stays" if others == 1 else "stay"
        words += f" {counted(others, 'other')} {verb}: no checks, failed, draft or conflicts."
    return f"<p class=sub>{words}</p><ol>{rows}</ol>"


def _row_html(item: InboxItem, session: PageSession) -> str:
    project = session.board.get(item.project_id) if item.project_id else None
    name = f'<span class="mut">{plain_html(project.name)}</span>' if project else ""
    size = size_html(item.facts.additions, item.facts.deletions) if item.facts else ""
    return f"<li><b>{plain_html(plain(item.title))}</b> {name} {size}</li>"
