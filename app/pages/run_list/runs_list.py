"""A live list of runs, for its own page and a project's: rows, submits under way, bulk actions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import RunItem, RunOut, RunsTotals
from app.domain.formatting import iso
from app.pages.components.markup import clean, text
from app.pages.components.testids import testid
from app.pages.run_list.bulk_bar import BulkBar
from app.pages.run_list.row import Acts
from app.pages.run_list.runs_table import RunsTable
from app.pages.shell.page_session import PageSession, open_submits, owner_of
from app.pages.shell.theme import dress_run_list
from app.state.runs.chosen_runs import ChosenRuns
from app.state.runs.retries import Retries
from app.state.runs.run_board import PAGE_ROWS, RunBoard, RunFilters, usage_of
from app.state.runs.run_days import Beyond, Sums, parts_beyond, sums_of_totals


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
        self.chosen = ChosenRuns()
        self._beyond: dict[Beyond, Sums] = {}
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
        dress_run_list()
        retries = self._retries
        acts = Acts(
            stop=self._stop,
            retry=self._retry,
            retrying=retries.word_of,
            retry_words=retries.words_for,
            choose=self._choose,
            is_chosen=self.chosen.__contains__,
            refused=lambda run_id: self.chosen.refused.get(run_id, ""),
        )
        self._bulk = BulkBar(session, self.board, self.chosen, retries, self.refresh)
        self._table = RunsTable(
            session,
            self.board,
            acts,
            when_empty=when_empty,
            choose_all=self._choose_all,
            beyond=self._sums_beyond,
        )
        self._table.when_zone(self._look_beyond)
        self._sums = testid(ui.html("", sanitize=clean).classes("sub sums"), "page-sums")
        self._bulk.draw()
        self.refresh()
        session.on("run.changed", self._apply)
        session.on_return(self.refetch)
        session.on_arrival(self._look_beyond)
        session.on_close(self._end)
        session.on_close(open_submits().watch(owner_of(session), self.board, self.refresh))

    def _end(self) -> None:
        # these know this list: without them a closed page is gone at once
        self._table = None
        self._when_shown = lambda: None
        self._bulk.end()
        vars(self).pop("_bulk")

    def refresh(self) -> None:
        """Bring the table in line with the board."""
        if self._session.client.is_deleted or self._table is None:
            return
        runs = [row for row in self.board.rows() if isinstance(row, RunItem)]
        self.chosen.keep(run.id for run in runs)
        with self._session.client:
            self._table.refresh()
            self._table.show_all_chosen(bool(runs) and len(self.chosen) == len(runs))
            usage = usage_of(runs)
            self._sums.set_content(text(f"On this page: {usage}") if usage else "")
            self._bulk.show()
            self._when_shown()

    async def refetch(self) -> None:
        """Take a fresh snapshot, or show why it failed."""
        try:
            await self.load()
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
            return
        await self._look_beyond()

    def _choose(self, run_id: str, is_chosen: bool) -> None:
        self.chosen.choose(run_id, is_chosen=is_chosen)
        self.refresh()

    def _choose_all(self, is_chosen: bool) -> None:
        if is_chosen:
            rows = self.board.rows()
            self.chosen.choose_all(row.id for row in rows if isinstance(row, RunItem))
        else:
            self.chosen.clear()
        self.refresh()

    # --- the days that this page cuts -------------------------------------------------------------

    async def _look_beyond(self) -> None:
        """Add up the runs of the first and the last day that are on other pages."""
        if self._table is None:
            return
        found: dict[Beyond, Sums] = {}
        for part in parts_beyond(self.board, self._table.zone):
            bounds = {"created_after": iso(part.after), "created_before": iso(part.before)}
            call = {**self.board.filters.to_call(), **bounds}
            call.pop("cursor", None)
            try:
                totals: RunsTotals = await self._session.api.run_totals(
                    status=self.board.filters.status, **call
                )
            except (ApiProblem, NoAnswer) as problem:
                self._session.refuse(problem)
                return
            found[part] = sums_of_totals(totals.items)
        self._beyond = found
        self.refresh()

    def _sums_beyond(self, day: date) -> Sums:
        return sum((sums for part, sums in self._beyond.items() if part.on == day), start=Sums())

    # --- rows -------------------------------------------------------------------------------------

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
