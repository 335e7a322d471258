"""Runs (`/runs`): all runs of all projects, live, with filters kept in the address."""

from __future__ import annotations

from urllib.parse import urlencode

from nicegui import ui

from app.api.client.client import ApiProblem
from app.api.schemas import ProjectOut
from app.domain.lifecycle import LIVE, WAITING
from app.domain.words import LABELS, Status, Trigger
from app.pages.components.markup import clean, plain_html, text
from app.pages.components.paging import pages_html
from app.pages.components.testids import testid
from app.pages.runs.more_filters import draw_more_filters
from app.pages.runs.new_run import NewRunButton
from app.pages.runs.runs_list import RunsList
from app.pages.shell.frame import Page, frame, refused
from app.pages.shell.page_session import PageSession, page_at
from app.pages.shell.theme import dress_form
from app.state.page.connection import Connection
from app.state.runs.run_board import MAX_TEXT, RunFilters

GROUPS: dict[str, tuple[Status, ...]] = {
    "live": tuple(status for status in Status if status in LIVE),
    "waiting": tuple(status for status in Status if status in WAITING),
}

FIND = "Find by id, branch, issue, title or tag"
PLACEHOLDER = "Issue, branch, title, tag"
# one request per word, not per key press
DEBOUNCE_MS = 300


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
        self._pages: ui.html | None = None

    def draw(self) -> None:
        """Draw the page and subscribe to changes."""
        dress_form()
        with frame(self.session, title="Runs", active="runs") as page:
            self._draw_actions(page)
            self._draw_filters()
            self.list.draw(when_empty=_when_empty(self.board.filters))
            self._pages = ui.html("", sanitize=clean)
        self._show_pages()

    def _draw_actions(self, page: Page) -> None:
        with page.actions:
            ui.link("Batches", "/batches").classes("btn bare")
            NewRunButton(self.session, self._projects)

    def _draw_filters(self) -> None:
        with ui.element("div").classes("filters"):
            field = ui.input(value=self.board.filters.text, placeholder=PLACEHOLDER)
            testid(field, "runs-search")
            field.props(f"type=search outlined dense hide-bottom-space maxlength={MAX_TEXT}")
            field.props(f"debounce={DEBOUNCE_MS} autocomplete=off spellcheck=false")
            field.props["aria-label"] = field.props["title"] = FIND
            field.classes("in find").on_value_change(lambda event: self._find(event.value or ""))
            self._chips = ui.element("div")
            self._draw_chips()

    def _projects(self) -> list[ProjectOut]:
        chosen = self.board.filters.project_id
        return [project for project in self.session.board.listing() if chosen in ("", project.id)]

    def _draw_chips(self) -> None:
        filters = self.board.filters
        names = {project.id: project.name for project in self.session.board.listing()}
        self._chips.clear()
        with self._chips:
            _pick("project", names.get(filters.project_id, "all"), self._project_links(names))
            _pick("status", _status_word(filters.status), self._status_links())
            _pick("trigger", filters.trigger or "any", self._trigger_links())
            draw_more_filters(filters.at(None).to_query())

    async def _find(self, words: str) -> None:
        filters = self.board.filters.find(words)
        if filters.text == self.board.filters.text:
            return
        self.board.filters = filters
        ui.navigate.history.replace(_address(filters.to_query()))
        self.list.set_empty_text(_when_empty(filters))
        self._draw_chips()
        await self.list.refetch()

    def _project_links(self, names: dict[str, str]) -> str:
        chosen = self.board.filters.project_id
        some = ((id_, name) for id_, name in names.items())
        return self._links("project", [("", "all"), *some], chosen)

    def _status_links(self) -> str:
        groups = [(",".join(group), word) for word, group in GROUPS.items()]
        each = [(str(status), label) for status, label in LABELS.items()]
        chosen = ",".join(self.board.filters.status)
        return self._links("status", [("", "any"), *groups, *each], chosen)

    def _trigger_links(self) -> str:
        each = [(str(trigger), str(trigger)) for trigger in Trigger]
        return self._links("trigger", [("", "any"), *each], self.board.filters.trigger or "")

    def _links(self, part: str, choices: list[tuple[str, str]], chosen: str) -> str:
        query = self.board.filters.at(None).to_query()
        made: list[str] = []
        for value, word in choices:
            others = {name: kept for name, kept in query.items() if name != part}
            href = _address({**others, part: value} if value else others)
            here = ' aria-current="true"' if value == chosen else ""
            made.append(f'<a class="item" href="{text(href)}"{here}>{plain_html(word)}</a>')
        return f'<div class="scroll">{"".join(made)}</div>'

    def _show_pages(self) -> None:
        if self._pages is not None:
            self._pages.set_content(self._pages_html())

    def _pages_html(self) -> str:
        board = self.board
        among = board.looked_among
        told = f'<p class="sub among">Searched the newest {among:,} runs.</p>' if among else ""
        beside = (board.prev_cursor, "‹ Newer"), (board.next_cursor, "Older ›")
        links = [(board.filters.at(cursor), word) for cursor, word in beside if cursor]
        pages = pages_html([(_address(filters.to_query()), word) for filters, word in links])
        return f"{told}{pages}"


def _when_empty(filters: RunFilters) -> str:
    if filters.cursor:
        href = text(_address(filters.at(None).to_query()))
        return f'This page is empty now. <a href="{href}">Newest runs</a>'
    if filters.to_query():
        return 'No run passes these filters. <a href="/runs">Show all runs</a>'
    return "No runs yet. Press New run, or start an AFK run on a project."


def _pick(name: str, value: str, links: str) -> None:
    """Draw a chip such as `status: any` that opens a list of links."""
    is_chosen = value not in ("all", "any")
    with ui.element("button").classes("chip pick" + (" picked" if is_chosen else "")) as chip:
        chip.props(f'type=button aria-haspopup=menu data-filter="{name}"')
        ui.html(plain_html(f"{name}: {value}"), sanitize=clean, tag="span")
        with ui.menu().classes("menu"):
            ui.html(links, sanitize=clean)


def _status_word(chosen: tuple[Status, ...]) -> str:
    for word, group in GROUPS.items():
        if set(chosen) == set(group):
            return word
    return ", ".join(LABELS[status].lower() for status in chosen) or "any"


def _address(query: dict[str, str]) -> str:
    return "/runs" + (f"?{urlencode(query)}" if query else "")
