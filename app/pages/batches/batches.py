"""Batches (`/batches`): every batch with its progress and result."""

from __future__ import annotations

from nicegui import ui

from app.api.client.client import ApiProblem
from app.api.schemas import Batches, BatchOut, ProjectOut, RunOut
from app.pages.batches.words import bar_html, counts_html, state_html
from app.pages.components.countdown import ago_html
from app.pages.components.markup import clean, plain_html, text
from app.pages.components.paging import pages_html
from app.pages.components.testids import testid
from app.pages.shell.frame import frame, refused
from app.pages.shell.page_session import PageSession, page_at
from app.state.page.connection import Connection

HEADINGS = ("Batch", "Project", "State", "Progress", "Result", "Created")
EMPTY = (
    "No batches yet. Write one run per line to a file and send it: "
    '<span class="m">runyard batch night.ndjson --project NAME</span>'
)

GONE = 'This page is empty now. <a href="/batches">Newest batches</a>'


_CLASSES = ("m tight", "wide roomy named", "tight", "wide roomy", "wide roomy", "tight")


def register(connection: Connection) -> None:
    """Define `/batches`."""

    @page_at("/batches")
    async def batches_page(cursor: str = "") -> None:
        session = await PageSession.open(connection)
        screen = BatchesScreen(session, cursor)
        try:
            screen.take(await session.api.batches(cursor))
        except ApiProblem as problem:
            refused(session, problem, active="runs")
            return
        screen.draw()


class BatchesScreen:
    """One open list of batches."""

    def __init__(self, session: PageSession, cursor: str) -> None:
        self._session = session
        self._is_later = bool(cursor)
        self._page = Batches(items=[])
        self._rows: dict[str, _Row] = {}
        self._look = session.looker(lambda: session.api.batches(cursor), self._show)

    def take(self, page: Batches) -> None:
        """Store a snapshot."""
        self._page = page

    def draw(self) -> None:
        """Draw the page and subscribe to changes."""
        session = self._session
        with frame(session, title="Batches", active="runs", crumbs=(("Runs", "/runs"),)):
            with ui.element("div").classes("wrap") as self._table:
                self._body = draw_table(HEADINGS)
            empty = GONE if self._is_later else EMPTY
            self._none = ui.html(empty, sanitize=clean).classes("card none")
            self._pages = ui.html("", sanitize=clean)
        self._show(self._page)
        session.on("run.changed", self._follow_run)
        session.on("project.changed", self._follow_project)
        session.on_return(self._look)

    async def _follow_run(self, run: RunOut) -> None:
        if run.batch_id is not None:
            await self._look()

    async def _follow_project(self, _: ProjectOut) -> None:
        await self._look()

    def _show(self, page: Batches) -> None:
        self._page = page
        shown = {batch.id: batch for batch in page.items}
        self._none.set_visibility(not shown)
        self._table.set_visibility(bool(shown))
        for gone in self._rows.keys() - shown.keys():
            self._rows.pop(gone).element.delete()
        for place, (batch_id, batch) in enumerate(shown.items()):
            if batch_id not in self._rows:
                with self._body:
                    self._rows[batch_id] = _Row(batch_id)
            row = self._rows[batch_id]
            row.show(batch, self._session)
            if self._body.default_slot.children[place] is not row.element:
                row.element.move(target_index=place)
        beside = (page.prev_cursor, "‹ Newer"), (page.next_cursor, "Older ›")
        links = pages_html([(f"/batches?cursor={one}", word) for one, word in beside if one])
        self._pages.set_content(links)


def draw_table(headings: tuple[str, ...]) -> ui.element:
    """Draw an empty table and return its body."""
    with ui.element("table").classes("t fold"):
        with ui.element("thead"), ui.element("tr"):
            for head in headings:
                ui.html(head, sanitize=clean, tag="th").props("scope=col")
        return ui.element("tbody")


class _Row:
    """The table row of one batch."""

    def __init__(self, batch_id: str) -> None:
        with ui.element("tr") as self.element:
            testid(self.element, "batch-row", batch=batch_id)
            self._cells = [ui.html("", sanitize=clean, tag="td").classes(c) for c in _CLASSES]

    def show(self, batch: BatchOut, session: PageSession) -> None:
        for cell, html in zip(self._cells, _cells(batch, session), strict=True):
            if cell.content != html:
                cell.set_content(html)


def _cells(batch: BatchOut, session: PageSession) -> list[str]:
    name = f'<a href="/batches/{text(batch.id)}" title="{text(batch.id)}">…{batch.id[-6:]}</a>'
    project = f'<a href="/projects/{text(batch.project_id)}">{plain_html(batch.project_name)}</a>'
    made = ago_html(batch.created_at, session.now())
    return [name, project, state_html(batch), bar_html(batch), counts_html(batch), made]
