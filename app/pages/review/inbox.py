"""Inbox (`/`): what waits for a person over all projects, with a preview beside the list."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any, TypeVar

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas.inbox import InboxItem, ReportOfRuns
from app.domain.people.deeds import READ
from app.domain.review.inbox import RESOLVE, Group, ItemKind
from app.pages.components.browser import detail_of, prop_of
from app.pages.components.markup import clean, text
from app.pages.components.testids import testid
from app.pages.projects.projects import ProjectsScreen
from app.pages.review.change_dialogs import Act, ChangeDialogs
from app.pages.review.inbox_acts import ItemBar, ItemDeeds
from app.pages.review.inbox_bulk import BulkMerge
from app.pages.review.inbox_filter import ProjectFilter
from app.pages.review.inbox_list import InboxList, ParkedSums
from app.pages.review.inbox_night import NightLine
from app.pages.review.inbox_pane import InboxPane
from app.pages.review.inbox_rows import RowActs
from app.pages.review.inbox_unread import UnreadItems
from app.pages.review.resolver import Resolver
from app.pages.shell.frame import Page, frame
from app.pages.shell.page_session import PageSession, page_at
from app.pages.shell.theme import dress_inbox, dress_runs
from app.state.page.connection import Connection
from app.state.review.change_asks import AskedChange
from app.state.review.inbox_board import InboxBoard, action_of
from app.state.review.unsent import count_unsent

Answer = TypeVar("Answer")
# with more projects, their cards are on their own page only
CARDS_BELOW = 6
# beside the preview, one click on a title selects its row; where there is none, it opens
SELECTS = """(event) => {
  const isPlain = event.detail === 1 && !(event.ctrlKey || event.metaKey || event.shiftKey);
  if (isPlain && innerWidth >= 1100 && event.target.closest("a.t1")) event.preventDefault();
}"""
NO_ANSWER = "The inbox could not be read. It is shown here as soon as the database answers."
# keys, what they do, and the deed that it needs
HINTS = (
    (("j", "k"), "move", READ),
    (("Enter",), "open", READ),
    (("m",), "merge", "merge"),
    (("r",), "request changes", "request_changes"),
    (("e",), "close", "close"),
    (("x",), "select", "merge"),
)


def register(connection: Connection) -> None:
    """Define `/`."""

    @page_at("/")
    async def inbox_page() -> None:
        session = await PageSession.open(connection, lacks_projects=True)
        api = session.api
        # what one store cannot tell must not take the rest off the page
        items, report = await asyncio.gather(_if_told(api.inbox()), _if_told(api.report_since()))
        dress_runs()
        dress_inbox()
        with frame(session, title="Inbox", active="inbox", fills=True) as page:
            InboxScreen(session, page, items, report)


async def _if_told(asking: Awaitable[Answer]) -> Answer | None:
    try:
        return await asking
    except (ApiProblem, NoAnswer):
        return None


class InboxScreen:
    """The content of the page; it follows the live feed and the keyboard."""

    def __init__(
        self,
        session: PageSession,
        page: Page,
        items: list[InboxItem] | None,
        report: ReportOfRuns | None,
    ) -> None:
        self._session = session
        self._names: list[tuple[str, str]] = []
        self._lacked_projects = not session.knows_projects
        self._board = InboxBoard()
        self._board.project_id = session.client.request.query_params.get("project")
        self._acts = RowActs(self._act, self._pick)
        self._drawn_dialogs: ChangeDialogs | None = None
        self._bulk = session.offer_somewhere(
            "merge", lambda: BulkMerge(session, self._board, self.show)
        )
        self._resolver = Resolver(session)
        self._draw(page)
        self._unread = UnreadItems(session, page, self._board, self.show)
        self._look = session.looker(session.api.inbox, self._take)
        self._look_at_report = session.looker(session.api.report_since, self._night.show)
        self._night.show(report)
        if items is not None:
            self._board.load(items)
        self.show()
        session.on("inbox.changed", self._follow)
        session.board.on_change(self._follow_projects)
        session.on("stores.changed", self._follow)
        session.on_return(self._come_back)
        session.on_close(self._end)

    def _end(self) -> None:
        # these know this screen: without them a closed page is gone at once
        for part in (
            "_acts",
            "_drawn_dialogs",
            "_bulk",
            "_list",
            "_filter",
            "_pane",
            "_bar",
            "_unread",
        ):
            vars(self).pop(part, None)

    # --- drawing -------------------------------------------------------------------------------

    def _draw(self, page: Page) -> None:
        session, board = self._session, self._board
        page.actions.classes("of-inbox")
        with page.actions:
            self._filter = ProjectFilter(session, board.project_id, self._choose)
        self._night = NightLine()
        with ui.element("div").classes("inbox") as self._panes:
            with testid(ui.element("div").classes("side"), "inbox-list") as self._side:
                self._side.props("data-keys=list").on("picked", self._on_picked, args=["detail"])
                self._side.on("click", js_handler=SELECTS)
                with ui.element("div").classes("scroller"):
                    self._no_answer = ui.html(text(NO_ANSWER), sanitize=clean).classes(
                        "banner wait"
                    )
                    self._list = InboxList(session, board, self._acts, self.show)
                    with self._list.review.beside:
                        self._bulk.draw_offer()
                    if session.knows_projects:
                        with self._list.cards:
                            ProjectsScreen(session, page, most=CARDS_BELOW)
                self._bulk.draw_bar()
                self._sums = ParkedSums(session, self._list.draw_parked().beside)
            deeds = ItemDeeds(self._act, self._ask_for_changes, self._ask_to_close, self._resolve)
            self._pane = InboxPane(session, board, deeds)
            self._bar = ItemBar(session, board, deeds)
        ui.html(hints_html(session), sanitize=clean).classes("keys-foot")

    def show(self) -> None:
        """Bring the page in line with the board."""
        if self._session.client.is_deleted:
            return
        with self._session.client:
            before = self._board.selected_id
            self._board.settle()
            has_projects = bool(self._session.board.listing())
            self._no_answer.set_visibility(not self._board.is_known)
            self._night.set_visibility(is_visible=has_projects)
            is_empty = self._board.is_known and not self._board.groups()
            self._panes.classes(**{"add" if is_empty else "remove": "lone"})
            self._filter.show()
            self._list.show()
            self._bulk.show()
            self._sums.follow([one.id for one in self._board.items(Group.PARKED)])
            if self._board.selected_id != before:
                self._mark_selected()
            self._show_selected()

    def _show_selected(self) -> None:
        self._pane.follow()
        self._bar.follow()

    def _mark_selected(self) -> None:
        """Have the browser select the row that took the place of one that is gone."""
        chosen = self._board.selected_id or ""
        # assets/keys.js selects the row of this id once no other is selected
        if prop_of(self._side, "data-picked") != chosen:
            self._side.props["data-picked"] = chosen

    # --- what people do ------------------------------------------------------------------------

    def _on_picked(self, event: Any) -> None:
        found: object = event.args
        item_id = detail_of(found).get("detail", found)
        self._unread.pick(str(item_id))
        if self._board.select(str(item_id)):
            self._list.show()
        self._mark_selected()
        self._show_selected()

    def _choose(self, project_id: str | None) -> None:
        self._board.project_id = project_id
        self.show()

    def _pick(self, item: InboxItem) -> None:
        self._board.pick(item.id)
        self.show()

    async def _act(self, item: InboxItem) -> None:
        if item.action == RESOLVE:
            await self._resolve(item)
            return
        if item.kind is ItemKind.CHANGE:
            if asked := await self._asked_with_unsent(item):
                self._dialogs().merge(asked)
            return
        act = action_of(self._session.api, item)
        if act is None:
            return
        try:
            await self._board.act(item, act, self.show)
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
        await self._look()

    async def _resolve(self, item: InboxItem) -> None:
        await self._resolver.resolve(item.project_id or "", item.change or 0)

    async def _ask_for_changes(self, item: InboxItem) -> None:
        if asked := await self._asked_with_unsent(item):
            self._dialogs().request(asked)

    def _ask_to_close(self, item: InboxItem) -> None:
        self._dialogs().close(self._asked(item))

    def _dialogs(self) -> ChangeDialogs:
        # drawn with their first use: most who look at the page need none
        if self._drawn_dialogs is None:
            with self._session.client:
                self._drawn_dialogs = ChangeDialogs(self._session, self._attempt)
        return self._drawn_dialogs

    def _asked(self, item: InboxItem) -> AskedChange:
        project = self._session.board.get(item.project_id or "")
        facts = item.facts
        return AskedChange(
            item.project_id or "",
            item.change or 0,
            item.title,
            facts.branch if facts else "",
            facts.base if facts else "",
            facts.commits if facts else 0,
            project.origin if project else "",
            item.issue,
        )

    async def _asked_with_unsent(self, item: InboxItem) -> AskedChange | None:
        """Return a change with the number of comments not sent; None if that cannot be told."""
        try:
            unsent = await count_unsent(self._session.api, [item])
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
            return None
        return replace(self._asked(item), drafts=unsent.get(item.id, 0))

    async def _attempt(self, asked: AskedChange, act: Act, word: str) -> bool:
        """Do what a dialog decided on; the row is busy meanwhile, and goes once it is done."""
        item = self._board.find(f"{ItemKind.CHANGE}:{asked.project_id}:{asked.number}")
        if item is None:
            await act()
            return True
        if self._board.word_of(item):
            return False
        await self._board.act(item, act, self.show, word)
        return True

    # --- what happens meanwhile ----------------------------------------------------------------

    async def _follow(self, _: object = None) -> None:
        await asyncio.gather(self._look(), self._look_at_report())

    async def _come_back(self) -> None:
        if self._lacked_projects:
            self._session.go("/")
        await self._follow()

    def _follow_projects(self, _: set[str]) -> None:
        # with every change of every project: most are of no concern here
        names = [(one.id, one.name) for one in self._session.board.listing()]
        if names != self._names:
            self._names = names
            self.show()
        else:
            self._list.show_clear()

    def _take(self, items: list[InboxItem]) -> None:
        self._board.load(items)
        self.show()


def hints_html(session: PageSession) -> str:
    """Return the foot: what the keys do for this person."""
    keys = "".join(
        f"<span>{''.join(f'<kbd>{text(key)}</kbd>' for key in keys)} {text(words)}</span>"
        for keys, words, deed in HINTS
        if session.may_somewhere(deed)
    )
    return f'{keys}<span class="sp"></span><span><kbd>?</kbd> all shortcuts</span>'
