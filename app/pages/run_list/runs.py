"""Runs (`/runs`): all runs of all projects, live, with filters kept in the address."""

from __future__ import annotations

from nicegui import ui

from app.api.client.client import ApiProblem
from app.api.schemas import ProjectOut
from app.domain.words import Phase
from app.pages.components.markup import clean, text
from app.pages.components.paging import pages_html
from app.pages.run_list.filter_bar import FilterBar
from app.pages.run_list.more_filters import address
from app.pages.run_list.runs_list import RunsList
from app.pages.run_list.runs_table import zone_in
from app.pages.runs.new_run import NewRunButton
from app.pages.shell.frame import Page, frame, refused
from app.pages.shell.page_session import PageSession, page_at
from app.pages.shell.theme import dress_runs
from app.state.page.connection import Connection
from app.state.runs.run_board import RunFilters

BY_COST = "Runs whose cost is not known are left out."


def register(connection: Connection) -> None:
    """Define `/runs`."""

    @page_at("/runs")
    async def runs_page() -> None:
        session = await PageSession.open(connection)
        screen = RunsScreen(session)
        try:
            await screen.list.load()
        except ApiProblem as problem:
            refused(session, problem, active="runs")
            return
        screen.draw()


class RunsScreen:
    """One open list of runs."""

    def __init__(self, session: PageSession) -> None:
        self.session = session
        filters = RunFilters.from_query(session.client.request.query_params)
        self.list = RunsList(session, filters, when_shown=self._show_pages)
        self.board = self.list.board
        self._bar = FilterBar(session, zone_in(session), self._find)
        self._pages: ui.html | None = None

    def draw(self) -> None:
        """Draw the page and subscribe to changes."""
        dress_runs()
        with frame(self.session, title="Runs", active="runs", fills=True) as page:
            self._draw_actions(page)
            self._bar.draw(self.board.filters)
            with ui.element("div").classes("pane of-runs"):
                self.list.draw(when_empty=_when_empty(self.board.filters))
                self._pages = ui.html("", sanitize=clean)
            self._show_pages()
        self.session.on_close(self._end)

    def _end(self) -> None:
        # it knows this screen: without it a closed page is gone at once
        vars(self).pop("_bar", None)

    def _draw_actions(self, page: Page) -> None:
        with page.beside:
            self._counts = ui.label("").classes("mut num sub")
        with page.actions:
            ui.link("Batches", "/batches").classes("btn bare")
            NewRunButton(self.session, self._projects)

    def _projects(self) -> list[ProjectOut]:
        chosen = self.board.filters.project_id
        return [project for project in self.session.board.listing() if chosen in ("", project.id)]

    async def _find(self, words: str) -> None:
        filters = self.board.filters.find(words)
        if filters.text == self.board.filters.text:
            return
        self.board.filters = filters
        ui.navigate.history.replace(address(filters.to_query()))
        self.list.set_empty_text(_when_empty(filters))
        self._bar.show(filters)
        await self.list.refetch()

    def _show_pages(self) -> None:
        if self._pages is None:
            return
        self._pages.set_content(self._pages_html())
        counts = [
            (self.board.count(Phase.LIVE), "running"),
            (self.board.count(Phase.WAITING), "waiting"),
        ]
        self._counts.set_text(", ".join(f"{count} {word}" for count, word in counts if count))

    def _pages_html(self) -> str:
        board = self.board
        among = board.looked_among
        told = [f"Searched the newest {among:,} runs."] if among else []
        told += [BY_COST] if board.filters.is_by_cost and board.rows() else []
        notes = f'<p class="sub among">{text(" ".join(told))}</p>' if told else ""
        is_by_cost = board.filters.is_by_cost
        beside = (
            (board.prev_cursor, "‹ Dearer" if is_by_cost else "‹ Newer"),
            (board.next_cursor, "Cheaper ›" if is_by_cost else "Older ›"),
        )
        links = [(board.filters.at(cursor), word) for cursor, word in beside if cursor]
        pages = pages_html([(address(filters.to_query()), word) for filters, word in links])
        return f"{notes}{pages}"


def _when_empty(filters: RunFilters) -> str:
    if filters.cursor:
        href = text(address(filters.at(None).to_query()))
        return f'<b>This page is empty now.</b> <a class="btn" href="{href}">Newest runs</a>'
    if filters.to_query():
        return (
            "<b>No run passes these filters.</b>Change one above, or look at all of them."
            '<br><a class="btn" href="/runs">Show all runs</a>'
        )
    return "<b>No runs yet.</b>Press New run, or start an AFK run on a project."
