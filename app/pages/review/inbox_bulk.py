"""Merging several changes: the bar of those picked, and the dialog of all that pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import ChangeOut
from app.api.schemas.inbox import InboxItem
from app.domain.review.inbox import Group
from app.pages.components.buttons import button
from app.pages.components.markup import clean, counted, plain, plain_html, text
from app.pages.components.testids import testid
from app.pages.review.inbox_rows import size_html
from app.pages.shell.page_session import PageSession
from app.state.review.bulk_merge import BulkEnd, merge_in_turn, undo_in_turn
from app.state.review.change_asks import drops_words
from app.state.review.inbox_board import InboxBoard
from app.state.review.unsent import count_unsent


class BulkMerge:
    """Merges one by one; the bar says how many are picked, and where it stopped."""

    def __init__(self, session: PageSession, board: InboxBoard, redraw: Callable[[], None]) -> None:
        self._session, self._board, self._redraw = session, board, redraw
        self._is_busy = False
        self._said = ""
        # those that the message in the bar says are merged
        self._merged: Sequence[InboxItem] = ()

    def draw_bar(self) -> None:
        """Draw the bar, hidden while nothing is picked and nothing is to be said."""
        with testid(ui.element("div").classes("bulk"), "bulk-bar") as self._bar:
            self._words = testid(ui.html("", sanitize=clean, tag="span"), "bulk-count")
            self._end = testid(ui.html("", sanitize=clean, tag="span"), "bulk-end")
            ui.element("span").classes("sp")
            self._merge = button(
                "", self._merge_picked, kind="small pri", mark="bulk-merge", key="m"
            )
            self._back = button("Undo", self._undo_said, kind="small", mark="bulk-undo", key="z")
            self._leave = button("Clear", self._clear, kind="small bare", mark="bulk-clear")
        self.show()

    @property
    def _passing(self) -> list[InboxItem]:
        may = self._session.may
        return [one for one in self._board.passing if may("merge", one.project_id)]

    def draw_offer(self) -> None:
        """Draw the button of all that pass, and the dialog that shows what is merged."""
        self._offer = button("", self._ask, kind="small bare", mark="merge-all")
        with ui.dialog() as self._dialog, ui.element("div").classes("sheet ask") as sheet:
            testid(sheet, "merge-all-dialog")
            self._title = ui.html("", sanitize=clean, tag="h2")
            self._list = testid(ui.html("", sanitize=clean).classes("queue"), "merge-order")
            with ui.element("div").classes("foot"):
                ui.element("span").classes("sp")
                button("Cancel", self._dialog.close, kind="bare")
                self._sure = button(
                    "", self._merge_asked, kind="pri", mark="merge-all-confirm", key="m"
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
        self._back.set_visibility(bool(self._merged))
        self._leave.set_text("Clear" if picked else "Close")
        passing = len(self._passing)
        self._offer.set_visibility(passing > 1)
        self._offer.set_text("Merging…" if self._is_busy else "Merge all that pass")

    def _clear(self) -> None:
        self._said, self._merged = "", ()
        self._board.unpick()
        self._redraw()

    async def _ask(self) -> None:
        passing = self._passing
        others = len(self._board.items(Group.REVIEW)) - len(passing)
        unsent = await self._unsent(passing)
        if unsent is not None:
            self._open(passing, order_html(passing, others, unsent, self._session))

    async def _merge_picked(self) -> None:
        picked = self._board.picked
        unsent = await self._unsent(picked)
        if unsent:
            self._open(picked, order_html(picked, 0, unsent, self._session))
        elif unsent is not None:
            await self._run(picked)

    async def _unsent(self, items: Sequence[InboxItem]) -> dict[str, int] | None:
        """Return the numbers of comments not sent, None if they cannot be told."""
        try:
            return await count_unsent(self._session.api, items)
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
            return None

    def _open(self, items: Sequence[InboxItem], order: str) -> None:
        self._asked = [one.id for one in items]
        self._title.set_content(f"Merge {counted(len(items), 'change')}, one by one?")
        self._list.set_content(order)
        self._sure.set_text(f"Merge {len(items)}")
        self._dialog.open()

    async def _merge_asked(self) -> None:
        self._dialog.close()
        # those that were shown: what has come since was not
        found = (self._board.find(one) for one in self._asked)
        await self._run([one for one in found if one is not None])

    async def _run(self, items: Sequence[InboxItem]) -> None:
        if self._is_busy or not items:
            return
        self._is_busy, self._said, self._merged = True, "", ()
        self._redraw()
        try:
            self._tell(await merge_in_turn(items, self._merge_one))
        finally:
            self._is_busy = False
            self._redraw()

    async def _merge_one(self, item: InboxItem) -> ChangeOut | None:
        api, answers = self._session.api, list[ChangeOut]()

        async def merge() -> ChangeOut:
            answers.append(await api.merge(item.project_id or "", item.change or 0))
            return answers[-1]

        await self._board.act(item, merge, self._redraw)
        return answers[-1] if answers else None

    def _tell(self, end: BulkEnd) -> None:
        if end.title:
            self._said, self._merged = plain(end.sentence), end.merged
            self._session.announce(self._said)
            return
        self._board.unpick()
        undo = ("Undo", partial(self._undo, end.merged)) if end.merged else None
        self._session.notify(end.sentence, undo=undo)

    async def _undo_said(self) -> None:
        merged, self._said, self._merged = self._merged, "", ()
        self._redraw()
        await self._undo(merged)

    async def _undo(self, merged: Sequence[InboxItem]) -> None:
        """Open the changes that take back exactly these merges; they come into the list."""
        self._session.notify((await undo_in_turn(merged, self._undo_one)).sentence)

    async def _undo_one(self, item: InboxItem) -> None:
        await self._session.api.undo_change(item.project_id or "", item.change or 0)


def order_html(
    items: Sequence[InboxItem], others: int, unsent: Mapping[str, int], session: PageSession
) -> str:
    """Return the changes in the order in which they are merged, and what a merge drops."""
    rows = "".join(_row_html(one, unsent.get(one.id, 0), session) for one in items)
    words = "Oldest first. It stops at the first that conflicts."
    if others:
        verb = "stays" if others == 1 else "stay"
        words += f" {counted(others, 'other')} {verb}: no checks, failed, draft or conflicts."
    drops = drops_words(sum(unsent.values()))
    warning = f'<p class="banner wait">{drops}</p>' if drops else ""
    return f"<p class=sub>{words}</p><ol>{rows}</ol>{warning}"


def _row_html(item: InboxItem, unsent: int, session: PageSession) -> str:
    project = session.board.get(item.project_id) if item.project_id else None
    name = f'<span class="mut">{plain_html(project.name)}</span>' if project else ""
    size = size_html(item.facts.additions, item.facts.deletions) if item.facts else ""
    said = f'<span class="cw">{counted(unsent, "comment")} not sent</span>' if unsent else ""
    return f"<li><b>{plain_html(plain(item.title))}</b> {name} {size} {said}</li>"
