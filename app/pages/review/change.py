"""A change (`/projects/{id}/changes/{n}`): its header, its tabs and what a person decides on it."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

from nicegui import ui

from app.api.client.client import ApiClient
from app.api.schemas import ApprovalOut, ApprovalsPage, ProjectOut, RunOut
from app.api.schemas.inbox import InboxItem
from app.pages.approvals.approval_box import ApprovalBox
from app.pages.components.markup import markdown_html, plain
from app.pages.components.paging import Tabs, chosen_tab
from app.pages.review.change_dialogs import Act, ChangeDialogs
from app.pages.review.change_header import (
    ChangeHeader,
    CiBanner,
    ConflictBanner,
    Place,
    ReviewsBanner,
)
from app.pages.review.change_rounds import ChecksTab, RunsTab
from app.pages.review.change_side import ChangeSide
from app.pages.review.change_talk import Conversation
from app.pages.review.change_view import ChangeView
from app.pages.review.files.bar import ReviewActs
from app.pages.review.files.tab import FilesTab
from app.pages.review.inbox_unread import OpenedItems
from app.pages.shell.frame import enter, frame
from app.pages.shell.page_session import PageSession, page_at
from app.pages.shell.theme import dress_change, dress_runs, dress_typed
from app.state.approvals.approval_words import why_not_merged
from app.state.page.connection import Connection
from app.state.review.change_asks import AskedChange, asked_of
from app.state.review.change_record import ChangeRecord, read_change, works_on

TABS = ("Conversation", "Files", "Checks", "Runs")
Body = Conversation | FilesTab | ChecksTab | RunsTab


def register(connection: Connection) -> None:
    """Define `/projects/{id}/changes/{n}`."""

    @page_at("/projects/{project_id}/changes/{number}")
    async def change_page(project_id: str, number: str, tab: str = "") -> None:
        entered = await enter(connection, lambda api: _find(api, project_id, number))
        if entered is None:
            return
        session, (project, view, items) = entered
        screen = ChangeScreen(session, project, view, chosen_tab(TABS, tab))
        screen.draw(items)
        await screen.load()


async def _find(
    api: ApiClient, project_id: str, number: str
) -> tuple[ProjectOut, ChangeView, list[InboxItem]]:
    asked = int(number) if number.isdecimal() and len(number) < 10 else 0
    project = await api.project(project_id)
    view, items = await asyncio.gather(_read(api, project_id, asked), api.inbox())
    return project, view, items


async def _read(api: ApiClient, project_id: str, number: int) -> ChangeView:
    snapshot = await read_change(api, project_id, number)
    said = [one.text for one in snapshot.comments if not one.draft]
    said += [one.text for one in snapshot.requests if one.text]
    said += [one.final_message for one in snapshot.reports.values() if one.final_message]
    prose = await asyncio.to_thread(lambda: {one: markdown_html(one) for one in said})
    return ChangeView(snapshot, prose)


class ChangeScreen:
    """One open page of a change."""

    def __init__(
        self, session: PageSession, project: ProjectOut, view: ChangeView, chosen: str
    ) -> None:
        self._session, self._project, self._chosen = session, project, chosen
        self._view, self._record = view, ChangeRecord(view.snapshot)
        self._number = view.snapshot.change.number
        self._look_at_approval = session.looker(
            lambda: session.api.approvals(state="all", project_id=project.id, change=self._number),
            self._take_approval,
        )
        self._look = session.looker(
            lambda: _read(session.api, project.id, self._number), self._take
        )

    def draw(self, items: list[InboxItem]) -> None:
        """Draw the page and follow the feed."""
        session, project, change = self._session, self._project, self._record.change
        dress_runs()
        dress_change()
        dress_typed()
        crumbs = [("Inbox", "/"), (plain(project.name), f"/projects/{project.id}")]
        name = f"Change {change.number}"
        # of the files the page scrolls, so that their heads stick to its bar
        fills = self._chosen != "Files"
        with frame(session, title=name, active="inbox", crumbs=crumbs, fills=fills) as page:
            page.tab.name(plain(change.title))
            Place(session, page, (project.id, change.number), items)
            self._dialogs = ChangeDialogs(session, self._attempt)
            self._header = ChangeHeader(session, project)
            path = f"/projects/{quote(project.id)}/changes/{change.number}"
            self._tabs = Tabs(TABS, self._chosen, about=name, path=path)
            with ui.element("div").classes(f"change-page on-{self._chosen.lower()}"):
                with ui.element("div").classes("change-body"):
                    self._approval = ApprovalBox(session, project.id, self._look_again)
                    self._conflicts = ConflictBanner(session, project.id)
                    self._ci = CiBanner(session, project.id)
                    self._reviews = ReviewsBanner()
                    self._body = self._draw_body()
                self._side = ChangeSide(session, project, self._dialogs, self._asked)
            self._show()
        session.on("project.changed", self._on_project)
        session.on("run.changed", self._on_run)
        session.on_return(self._look)
        OpenedItems(session, f"{project.id}:{change.number}")

    async def load(self) -> None:
        """Fetch what only the chosen tab shows."""
        if isinstance(self._body, FilesTab | ChecksTab):
            await self._body.load()

    def _draw_body(self) -> Body:
        session = self._session
        match self._chosen:
            case "Files":
                acts = ReviewActs(
                    merge=lambda: self._side.ask_to_merge(),
                    request=lambda: self._side.ask_to_change(),
                    close=lambda: self._side.ask_to_close(),
                )
                return FilesTab(session, self._project.id, self._record.change, acts)
            case "Checks":
                return ChecksTab(session)
            case "Runs":
                return RunsTab(session)
            case _:
                return Conversation(session, self._asked)

    def _asked(self) -> AskedChange:
        """Return the change as dialogs need it."""
        drafts = len(self._view.snapshot.drafts)
        return asked_of(self._project, self._record.change, drafts)

    def _take(self, view: ChangeView) -> None:
        self._view = view
        self._record.take(view.snapshot)
        self._show()

    def _show(self) -> None:
        if self._session.client.is_deleted:
            return
        view, word = self._view, self._record.word
        self._show_approval()
        self._conflicts.show(view)
        self._ci.show(view)
        self._reviews.show(view, self._project.review_rounds)
        self._header.show(view)
        self._side.show(view, word)
        if isinstance(self._body, FilesTab):
            self._body.show(self._record.change)
        else:
            self._body.show(view)
        for name, count in view.counts().items():
            self._tabs.count(name, count)

    def _show_approval(self) -> None:
        # read beside the change: most projects ask for none
        if self._project.approve_merge and self._record.change.state == "open":
            self._session.start(self._look_at_approval())
        else:
            self._show_approval_of(None)

    def _take_approval(self, page: ApprovalsPage) -> None:
        now = self._record.change
        own = (one for one in page.items if one.head_sha == now.head_sha)
        self._show_approval_of(next(own, None) if now.state == "open" else None)

    def _show_approval_of(self, approval: ApprovalOut | None) -> None:
        self._approval.show(approval)
        self._side.set_lacks(why_not_merged(approval))

    async def _look_again(self) -> None:
        await self._look()

    async def _attempt(self, _: AskedChange, act: Act, word: str) -> bool:
        done = await self._record.rows.attempt(self._record.change, act, word=word, show=self._show)
        if done is not None:
            await self._look()
        return done is not None

    async def _on_project(self, project: ProjectOut) -> None:
        if project.id == self._project.id:
            self._project = project
            await self._look()

    async def _on_run(self, run: RunOut) -> None:
        is_ours = run.project_id == self._project.id and works_on(run, self._record.change)
        if is_ours:
            await self._look()
