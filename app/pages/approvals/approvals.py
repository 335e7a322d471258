"""Approvals (`/approvals`): starts and merges that wait for a person, over all projects."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui

from app.api.client.client import ApiProblem
from app.api.schemas import ApprovalOut, ApprovalsPage, ProjectOut
from app.domain.projects.approvals import ApprovalKind
from app.pages.approvals.approval_box import ApprovalAnswers
from app.pages.components.buttons import button
from app.pages.components.countdown import ago_html, day_html
from app.pages.components.icons import icon
from app.pages.components.markup import clean, plain_html, text
from app.pages.components.testids import testid
from app.pages.shell.frame import frame, refused
from app.pages.shell.page_session import PageSession, page_at
from app.state.approvals.approval_words import asked_words, comments_of, needs_words, what_words
from app.state.page.connection import Connection

NONE = "All clear — no pending approvals"
HINT = (
    "A project asks for approvals where its settings say so: before a run starts, or before a "
    "change is merged."
)


def register(connection: Connection) -> None:
    """Define `/approvals`."""

    @page_at("/approvals")
    async def approvals_page() -> None:
        session = await PageSession.open(connection)
        try:
            page = await session.api.approvals()
        except ApiProblem as problem:
            refused(session, problem, active="approvals")
            return
        ApprovalsScreen(session).draw(page)


class ApprovalsScreen:
    """One open page of pending approvals."""

    def __init__(self, session: PageSession) -> None:
        self._session = session
        self._rows: dict[str, _Row] = {}
        # the pages that were opened so far: each is read again when something changes
        self._pages = 1
        self._look = session.looker(self._read, self._show)

    def draw(self, page: ApprovalsPage) -> None:
        """Draw the page and follow the feed."""
        session = self._session
        with frame(session, title="Approvals", active="approvals"):
            self._list = ui.element("div").classes("list approvals")
            testid(self._list, "approvals-list")
            with ui.element("div").classes("card none") as self._none:
                testid(self._none, "approvals-none")
                ui.html(f"<p><b>{NONE}</b></p><p>{HINT}</p>", sanitize=clean)
            self._more = button("Show more", self._show_more)
            self._show(page)
        session.on("project.changed", self._follow)
        session.on_return(self._look)

    async def _follow(self, _: ProjectOut) -> None:
        await self._look()

    async def _show_more(self) -> None:
        self._pages += 1
        await self._look()

    async def _read(self) -> ApprovalsPage:
        page = await self._session.api.approvals()
        items = list(page.items)
        for _ in range(self._pages - 1):
            if page.next_cursor is None:
                break
            page = await self._session.api.approvals(cursor=page.next_cursor)
            items += page.items
        return ApprovalsPage(items=items, next_cursor=page.next_cursor)

    def _show(self, page: ApprovalsPage) -> None:
        if self._session.client.is_deleted:
            return
        shown = {one.id: one for one in page.items}
        for gone in self._rows.keys() - shown.keys():
            self._rows.pop(gone).element.delete()
        for place, (key, approval) in enumerate(shown.items()):
            if key not in self._rows:
                with self._list:
                    self._rows[key] = _Row(self._session, approval.project_id, self._look)
            row = self._rows[key]
            row.show(approval)
            if self._list.default_slot.children[place] is not row.element:
                row.element.move(target_index=place)
        self._list.set_visibility(bool(shown))
        self._none.set_visibility(not shown)
        self._more.set_visibility(page.next_cursor is not None)


class _Row:
    """One approval: what it is about, and the answer to it."""

    def __init__(
        self, session: PageSession, project_id: str, answered: Callable[[], Awaitable[None]]
    ) -> None:
        self._session = session
        with ui.element("div").classes("item approval") as self.element:
            self._words = ui.html("", sanitize=clean).classes("grow")
            self._answers = session.offer(
                "approve", project_id, lambda: ApprovalAnswers(session, answered)
            )

    def show(self, approval: ApprovalOut) -> None:
        """Show the present state."""
        testid(self.element, "approval-row", id=approval.id, kind=approval.kind)
        self._words.set_content(row_html(approval, self._session))
        self._answers.show(approval)


def row_html(approval: ApprovalOut, session: PageSession) -> str:
    """Return the title with its page, and the facts below it."""
    project = f"/projects/{text(approval.project_id)}"
    sign = icon("git-merge" if approval.kind is ApprovalKind.MERGE else "play", kind="s")
    facts = [
        f'<a href="{project}">{plain_html(approval.project_name)}</a>',
        text(what_words(approval)),
        plain_html(asked_words(approval)),
        f"asked {ago_html(approval.created_at, session.now())}",
        f"expires {day_html(approval.expires_at)}",
    ]
    said = [*comments_of(approval)]
    if approval.needed > 1:
        said.insert(0, needs_words(approval))
    more = "".join(f'<div class="sub">{plain_html(one)}</div>' for one in said)
    return (
        f'<div class="name"><a href="{text(approval.url)}">{sign}{plain_html(approval.title)}</a>'
        f'</div><div class="sub">{" · ".join(facts)}</div>{more}'
    )
