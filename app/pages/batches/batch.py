"""A batch (`/batches/{id}`): its result, its items, Stop, and Retry of failed items."""

from __future__ import annotations

import asyncio
import uuid
from functools import partial

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import BatchItemOut, BatchReport, BulkOut, RunOut
from app.domain.agents.reports import cost_words
from app.domain.batches import BatchStatus, BulkStatus
from app.domain.words import Status
from app.pages.batches.batches import draw_table
from app.pages.batches.words import bar_html, counts_html, state_html
from app.pages.components.buttons import ConfirmButton, button
from app.pages.components.chips import status_pill_html
from app.pages.components.countdown import ago_html
from app.pages.components.markup import clean, plain_html, text
from app.pages.components.testids import testid
from app.pages.run_list.row import took_html
from app.pages.shell.frame import Page, frame, refused
from app.pages.shell.page_session import PageSession, page_at
from app.state.page.connection import Connection

HEADINGS = ("Line", "Run", "What", "Status", "Why", "Took")
ROWS = 100
FAILED = ("died", "timed_out", "not_started", "expired")
Seen = tuple[BatchReport, list[BatchItemOut], BulkOut | None]


_CLASSES = ("tight", "m tight", "wide roomy named", "tight", "wide roomy", "tight")


def register(connection: Connection) -> None:
    """Define `/batches/{batch_id}`."""

    @page_at("/batches/{batch_id}")
    async def batch_page(batch_id: str) -> None:
        session = await PageSession.open(connection)
        screen = BatchScreen(session, batch_id)
        try:
            seen = await screen.ask()
        except ApiProblem as problem:
            refused(session, problem, active="runs")
            return
        screen.draw(seen)


class BatchScreen:
    """One open batch page."""

    def __init__(self, session: PageSession, batch_id: str) -> None:
        self._session = session
        self._id = batch_id
        self._limit = ROWS
        self._rows: dict[int, _Row] = {}
        self._bulk_id = ""
        # one key per page: pressing Retry again after a lost answer orders nothing twice
        self._key = str(uuid.uuid4())
        self._look = session.looker(self.ask, self._show)

    async def ask(self) -> Seen:
        """Fetch the batch, the items shown, and the retry under way, if any."""
        api = self._session.api
        # fetched first, so that the items below include everything it has done
        bulk = await api.bulk(self._bulk_id) if self._bulk_id else None
        batch, items = await asyncio.gather(api.batch(self._id), self._items())
        return batch, items, bulk

    async def _items(self) -> list[BatchItemOut]:
        found: list[BatchItemOut] = []
        cursor: str | None = ""
        while cursor is not None and len(found) < self._limit:
            page = await self._session.api.batch_items(self._id, limit=ROWS, cursor=cursor)
            found, cursor = found + page.items, page.next_cursor
        return found

    def draw(self, seen: Seen) -> None:
        """Draw the page and subscribe to changes."""
        session, batch = self._session, seen[0]
        crumbs = (("Runs", "/runs"), ("Batches", "/batches"))
        with frame(session, title=f"…{batch.id[-6:]}", active="runs", crumbs=crumbs) as page:
            self._draw_head(page, batch.project_id)
            with ui.element("div").classes("card above") as report:
                testid(report, "batch-report")
                self._report = ui.html("", sanitize=clean).classes("stack")
            with ui.element("div").classes("wrap"):
                self._body = draw_table(HEADINGS)
            self._more = button("Show more", self._show_more)
        self._show(seen)
        session.on("run.changed", self._follow)
        session.on("bulk.changed", self._follow_bulk)
        session.on_return(self._look)

    def _draw_head(self, page: Page, project_id: str) -> None:
        with page.beside:
            self._state = ui.html("", sanitize=clean, tag="span")
        with page.actions:
            offer = partial(self._session.offer, project_id=project_id)
            self._retry: ui.button = offer("bulk", draw=self._retry_button)
            self._abort: ui.button = offer("abort_bulk", draw=self._abort_button)
            self._stop: ConfirmButton = offer("stop", draw=self._stop_button)

    def _retry_button(self) -> ui.button:
        return button("Retry failed", self._retry_failed, mark="retry-failed")

    def _abort_button(self) -> ui.button:
        return button("Stop retrying", self._abort_bulk, mark="abort-bulk")

    def _stop_button(self) -> ConfirmButton:
        ask = "Stop the whole batch?"
        return ConfirmButton("Stop batch", ask, self._stop_batch, kind="danger", mark="stop-batch")

    async def _follow(self, run: RunOut) -> None:
        if run.batch_id == self._id:
            await self._look()

    async def _follow_bulk(self, told: dict[str, str]) -> None:
        if told["bulk_id"] == self._bulk_id:
            await self._look()

    def _show(self, seen: Seen) -> None:
        batch, items, bulk = seen
        self._state.set_content(state_html(batch))
        self._report.set_content(_report_html(batch, bulk, self._session))
        is_retrying = bulk is not None and bulk.status is BulkStatus.PROCESSING
        self._retry.set_visibility(batch.failed + batch.no_change > 0 and not self._bulk_id)
        self._abort.set_visibility(is_retrying)
        is_over = batch.status not in (BatchStatus.PENDING, BatchStatus.PROCESSING)
        self._stop.element.set_visibility(not is_over)
        for item in items:
            if item.index not in self._rows:
                with self._body:
                    self._rows[item.index] = _Row(item)
        for place, item in enumerate(items):
            row = self._rows[item.index]
            row.show(item, self._session)
            if self._body.default_slot.children[place] is not row.element:
                row.element.move(target_index=place)
        self._more.set_visibility(len(items) >= self._limit and batch.received > len(items))

    async def _show_more(self) -> None:
        self._limit += ROWS
        await self._look()

    async def _stop_batch(self) -> None:
        try:
            await self._session.api.stop_batch(self._id)
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
        await self._look()

    async def _retry_failed(self) -> None:
        try:
            wanted = {"batch_id": self._id, "status": list(FAILED)}
            bulk = await self._session.api.order_bulk("retry", self._key, **wanted)
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
        else:
            self._bulk_id = bulk.id
            self._session.notify(f"{bulk.total} runs will be retried as other runs end.")
        await self._look()

    async def _abort_bulk(self) -> None:
        try:
            await self._session.api.abort_bulk(self._bulk_id)
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
        await self._look()


def _report_html(batch: BatchReport, bulk: BulkOut | None, session: PageSession) -> str:
    project = f'<a href="/projects/{text(batch.project_id)}">{plain_html(batch.project_name)}</a>'
    facts = [counts_html(batch)]
    if batch.cost_usd is not None:
        facts.append(text(cost_words(batch.cost_usd)))
    lines = [bar_html(batch), f'<p data-testid="batch-sum">{" · ".join(filter(None, facts))}</p>']
    lines.append(
        f'<p class="sub">{project} · created {ago_html(batch.created_at, session.now())}</p>'
    )
    if batch.because:
        lines.append(f"<p>{plain_html(batch.because)}</p>")
    if bulk is not None:
        lines.append(f'<p data-testid="bulk-progress">{text(_bulk_words(bulk))}</p>')
    return "".join(lines)


def _bulk_words(bulk: BulkOut) -> str:
    parts = [f"Retried {bulk.done} of {bulk.total}"]
    parts += [f"{bulk.refused} refused"] if bulk.refused else []
    parts += [f"{bulk.left} unchanged"] if bulk.left else []
    parts += [bulk.hold] if bulk.hold else []
    return " · ".join(parts)


class _Row:
    """The table row of one item."""

    def __init__(self, item: BatchItemOut) -> None:
        with ui.element("tr") as self.element:
            testid(self.element, "batch-item", index=str(item.index))
            self._cells = [ui.html("", sanitize=clean, tag="td").classes(c) for c in _CLASSES]

    def show(self, item: BatchItemOut, session: PageSession) -> None:
        for cell, html in zip(self._cells, _cells(item, session), strict=True):
            if cell.content != html:
                cell.set_content(html)


def _cells(item: BatchItemOut, session: PageSession) -> list[str]:
    run = item.run
    why = "" if run.status is Status.SUCCEEDED else run.because or run.hold or ""
    again = ""
    if run.retried_by:
        again = f' <a href="/runs/{text(run.retried_by[-1])}">retried</a>'
    return [
        str(item.index + 1),
        f'<a href="/runs/{text(run.id)}" title="{text(run.id)}">…{run.id[-6:]}</a>',
        plain_html(f"#{run.issue} {run.title}" if run.issue else run.title),
        status_pill_html(run.status, run.cause) + again,
        plain_html(why),
        took_html(run, session),
    ]
