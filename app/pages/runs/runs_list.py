"""A live list of runs, for its own page and a project's: rows, submits under way, Stop, Retry."""

from __future__ import annotations

from collections.abc import Callable

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import RunItem, RunOut
from app.pages.components.markup import clean, text
from app.pages.components.testids import testid
from app.pages.runs.runs_table import Acts, RunsTable
from app.pages.shell.page_session import PageSession, open_submits, owner_of
from app.pages.shell.theme import dress_runs
from app.state.runs.retries import Retries
from app.state.runs.run_board import PAGE_ROWS, RunBoard, RunFilters, usage_of


class RunsList:
    """One open list; `load` works before and after `draw`, `when_shown` runs after each change."""

    def __init__(
        self,
        session: PageSession,
        filters: RunFilters,
        *,
        rows: int = PAGE_ROWS,
        when_shown: Callable[[], None] = lambda: None,
    ) -> None:
        self._session = session
        self._limit = rows
        self._when_shown = when_shown
        self._table: RunsTable | None = None
        self.board = RunBoard(filters)
        self._retries = Retries(session.api, open_submits(), owner_of(session), session.now)

    async def load(self) -> None:
        """Take a fresh snapshot. Raises ApiProblem or NoAnswer."""
        filters = self.board.filters
        call = {"limit": self._limit, **filters.to_call()}
        with self.board.recording():
            page = await self._session.api.runs(status=filters.status, **call)
            if filters != self.board.filters:
                return  # the filters have changed since the request
            self.board.load(page)
        self.refresh()

    def set_empty_text(self, html: str) -> None:
        """Replace the HTML shown if no run matches."""
        if self._table is not None:
            self._table.set_empty_text(html)

    def draw(self, *, when_empty: str) -> None:
        """Draw the table and subscribe to changes; `when_empty` is HTML."""
        session = self._session
        dress_runs()
        retries = self._retries
        acts = Acts(self._stop, self._retry, retries.word_of, retries.words_for)
        self._table = RunsTable(session, self.board, acts, when_empty=when_empty)
        self._sums = testid(ui.html("", sanitize=clean).classes("sub sums"), "page-sums")
        self._show_sums()
        session.on("run.changed", self._apply)
        session.on_return(self.refetch)
        session.client.on_delete(open_submits().watch(owner_of(session), self.board, self.refresh))

    def refresh(self) -> None:
        """Bring the table in line with the board."""
        if self._session.client.is_deleted or self._table is None:
            return
        with self._session.client:
            self._table.refresh()
            self._show_sums()
            self._when_shown()

    def _show_sums(self) -> None:
        usage = usage_of(self.board.rows())
        self._sums.set_content(text(f"On this page: {usage}") if usage else "")

    async def refetch(self) -> None:
        """Take a fresh snapshot, or show why it failed."""
        try:
            await self.load()
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)

    async def _apply(self, run: RunOut) -> None:
        if not self.board.apply(run):
            return
        if self.board.is_overfull:
            await self.refetch()
        self.refresh()

    async def _stop(self, run_id: str) -> None:
        session = self._session
        try:
            stopped = await self.board.stop(
                run_id, lambda: session.api.stop(run_id, "stopped from the runs list"), self.refresh
            )
        except (ApiProblem, NoAnswer) as problem:
            session.refuse(problem)
            return
        if stopped is not None:
            session.notify("Stopped.")

    async def _retry(self, run: RunItem) -> None:
        session = self._session
        try:
            made = await self._retries.press(run, show=self.refresh)
        except (ApiProblem, NoAnswer) as problem:
            session.refuse(problem)
            return
        if made is not None:
            session.notify("It runs again.", go=("Open the new run", f"/runs/{made.id}"))
