"""The issues of all projects, or of one: a list by state, or a board, with filters and actions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import BoardOut, ProjectOut
from app.domain.tracker.drops import Drop
from app.domain.tracker.issue_states import IssueState
from app.domain.words import BUILTIN
from app.pages.components.buttons import button, link_button
from app.pages.components.countdown import at_html
from app.pages.components.icons import icon
from app.pages.components.markup import clean, counted, plain, plain_html, text
from app.pages.components.testids import testid
from app.pages.runs.delivery import safe_href
from app.pages.shell.frame import Page
from app.pages.shell.page_session import Drawn, PageSession
from app.pages.tracker.filter_menu import Choice, FilterMenu
from app.pages.tracker.issue_text import IssueForm, may_write_in
from app.pages.tracker.issues_board import Board
from app.pages.tracker.issues_list import IssuesTable
from app.state.tracker.issue_board import BOARD, GROUP_NAMES, LIST, BoardFilter, IssueBoardState

MOST_LABELS = 40
KEPT_THERE = "This project's issues are kept at its forge: write and edit them there."
# projects that are read anew one by one; for more, everything is
FEW = 5


class IssuesView:
    """List and board of the same issues; both follow the live feed.

    With `page`, what belongs in the bar of a page stands there.
    """

    def __init__(
        self, session: PageSession, page: Page | None, project: ProjectOut | None = None
    ) -> None:
        self._session, self._page, self._project = session, page, project
        self._query = dict(session.client.request.query_params)
        of_one = {"project": project.id} if project else {}
        self._state = IssueBoardState(BoardFilter.from_query(self._query | of_one))
        self._dirty: set[str] = set()
        self._is_held = False
        self._there = ""
        # moves go one by one: a second press of a key comes before the first is answered
        self._moving = asyncio.Lock()
        self.load = session.looker(self._ask, self._take)
        self._form = self._offer_add(
            lambda: IssueForm(session, project.id if project else None, self.load)
        )
        with ui.element("div").classes("issues"):
            self._draw_filters()
            with page.beside if page else self._bar:
                self._count = ui.html("", sanitize=clean, tag="span").classes("mut num count")
            with page.actions if page else self._bar:
                self._new = self._offer_add(self._new_button)
                self._new_there = ui.element("span")
            self._told = testid(ui.html("", sanitize=clean), "issues-told")
            self._none = testid(ui.html("", sanitize=clean).classes("empty"), "no-issues")
            self._table = IssuesTable(session, self._state, self._act, self._show)
            self._board = Board(session, self._state, self._act, self._drop, self._step, self._hold)
        self._show()
        session.on("project.changed", self._follow)
        session.on_return(self._load_all)
        session.on_close(self._end)

    def _end(self) -> None:
        # these know this view: without them a closed page is gone at once
        for part in (
            "load",
            "_form",
            "_menus",
            "_search",
            "_new",
            "_new_there",
            "_table",
            "_board",
        ):
            vars(self).pop(part, None)

    # --- loading -------------------------------------------------------------------------------

    async def _ask(self) -> tuple[BoardOut, Sequence[str]]:
        asked, self._dirty = self._dirty, set()
        ids = [self._project.id] if self._project else sorted(asked)
        if not self._state.is_known or len(ids) > FEW:
            ids = ids if self._project else []
        return await self._session.api.board(ids, closed=self._state.filter.closed), ids

    def _take(self, answer: tuple[BoardOut, Sequence[str]]) -> None:
        self._state.load(*answer)
        self._show()

    async def _load_all(self) -> None:
        self._dirty.clear()
        await self.load()

    async def _follow(self, project: ProjectOut) -> None:
        if self._project is None or project.id == self._project.id:
            self._dirty.add(project.id)
            await self.load()

    # --- showing -------------------------------------------------------------------------------

    def _draw_filters(self) -> None:
        state = self._state
        with ui.element("div").classes("filter-bar") as self._bar:
            self._search = ui.input(value=state.filter.q, placeholder="Search issues")
            self._search.props('outlined dense hide-bottom-space debounce=150 aria-label="Search"')
            self._search.classes("in search").on_value_change(self._find)
            testid(self._search, "list-search")
            with self._search.add_slot("prepend"):
                ui.html(icon("search"), sanitize=clean, tag="span")
            with self._search.add_slot("append"):
                ui.html("/", sanitize=clean, tag="kbd").props("aria-hidden=true")
            self._menus: dict[str, FilterMenu] = {}
            if self._project is None:
                choose = self._chooser("project")
                menu = FilterMenu("Project", self._projects, choose, mark="filter-project")
                self._menus["project"] = menu
            choose = self._chooser("state")
            self._menus["state"] = FilterMenu("State", _states, choose, mark="filter-state")
            choose = self._chooser("label")
            self._menus["label"] = FilterMenu("Label", self._labels, choose, mark="filter-label")
            ui.element("span").classes("sp")
            with testid(ui.element("div").classes("seg2"), "view-toggle") as toggle:
                toggle.props('role=group aria-label="View"')
                self._views = {
                    view: self._view_button(view, words, sign)
                    for view, words, sign in (
                        (LIST, "List", "list"),
                        (BOARD, "Board", "columns-3"),
                    )
                }

    def _view_button(self, view: str, words: str, sign: str) -> ui.element:
        made = ui.element("button").on("click", lambda: self._choose(view=view))
        made.props("type=button").props["data-view"] = view
        with made:
            ui.html(f"{icon(sign, kind='s')}{words}", sanitize=clean, tag="span")
        return made

    def _chooser(self, name: str) -> Callable[[str], Awaitable[None]]:
        return lambda value: self._choose(**{name: value})

    def _projects(self) -> list[Choice]:
        found = sorted(self._state.projects.values(), key=lambda one: one.name.casefold())
        return [("", "All"), *((one.project_id, plain(one.name)) for one in found)]

    def _labels(self) -> list[Choice]:
        return [("", "Any"), *((one, plain(one)) for one in self._state.labels[:MOST_LABELS])]

    async def _choose(self, **parts: str) -> None:
        before = self._state.filter.closed
        self._state.choose(**parts)
        query = self._state.filter.query_of(self._query, is_one=self._project is not None)
        ui.navigate.history.replace(f"{self._session.path}{f'?{query}' if query else ''}")
        self._show()
        if self._state.filter.closed > before:
            await self._load_all()

    async def _find(self) -> None:
        await self._choose(q=(self._search.value or "").strip())

    def _hold(self, *, is_held: bool) -> None:
        """Draw nothing while a card is dragged, or the browser would drop it."""
        self._is_held = is_held
        self._show()

    def _show(self) -> None:
        if self._session.client.is_deleted or self._is_held:
            return
        state, chosen = self._state, self._state.filter
        is_board = chosen.view == BOARD
        for name, menu in self._menus.items():
            menu.show(getattr(chosen, name))
        for view, made in self._views.items():
            made.props["aria-pressed"] = str(view == chosen.view).lower()
            made.update()
        self._count.set_content(self._count_html())
        groups = state.groups()
        nothing = state.is_known and not groups and not (is_board and state.open_count)
        self._none.set_content(self._none_html() if nothing else self._unread_html())
        self._none.set_visibility(nothing or bool(state.unread))
        self._new.set_visibility(self._may_write())
        self._show_there()
        self._table.show(groups, is_shown=not is_board and not nothing, of_one=bool(self._project))
        self._board.show(is_shown=is_board and not nothing)

    def _show_there(self) -> None:
        """Show where issues are written that a forge keeps, and of when those are that are old."""
        alone = self._state.projects.get(self._project.id) if self._project else None
        there = safe_href(alone.url or "") if alone else ""
        self._link_there(f"{there}/new" if there else "")
        said = [
            f"<p><b>{plain_html(one.name)}</b> Its forge does not answer: its issues are shown as"
            f" of {at_html(one.as_of)}.</p>"
            for one in self._state.old
            if one.as_of is not None
        ]
        if there:
            said.append(f'<p class="sub">{text(KEPT_THERE)}</p>')
        self._told.set_content(f'<div class="told-there">{"".join(said)}</div>' if said else "")
        self._told.set_visibility(bool(said))

    def _link_there(self, href: str) -> None:
        if href == self._there:
            return
        self._there = href
        self._new_there.clear()
        if href:
            with self._new_there:
                link = link_button("New issue ↗", href, kind="pri", mark="new-issue-there")
            link.props("target=_blank rel='noopener noreferrer'")
            link.props["title"] = KEPT_THERE

    def _offer_add(self, draw: Callable[[], Drawn]) -> Drawn:
        project, session = self._project, self._session
        if project is not None:
            return session.offer("add_issue", project.id, draw)
        return session.offer_somewhere("add_issue", draw)

    def _new_button(self) -> ui.button:
        return button("New issue", self._form.open, kind="pri", mark="new-issue", key="c")

    def _may_write(self) -> bool:
        projects = [self._project] if self._project else self._session.board.listing()
        known = [self._session.board.get(one.id) or one for one in projects]
        return any(may_write_in(self._session, one) for one in known)

    def _count_html(self) -> str:
        count = self._state.open_count
        if not self._state.is_known or count is None:
            return ""
        projects = len(self._state.projects)
        where = "" if self._project else f" in {counted(projects, 'project')}"
        return text(f"{count} open{where}")

    def _unread_html(self) -> str:
        return "".join(
            f"<p><b>{plain_html(one.name)}</b> {text(one.because or '')}</p>"
            for one in self._state.unread
        )

    def _none_html(self) -> str:
        state, chosen = self._state, self._state.filter
        if not state.projects:
            if not self._session.may("add_project"):
                return "<p><b>No projects yet</b></p><p>Their issues will be here.</p>"
            return (
                "<p><b>No projects yet</b></p><p>Add one, and its issues are here.</p>"
                '<a class="btn pri" href="/projects/add">Add project</a>'
            )
        if state.unread and len(state.unread) == len(state.projects):
            return self._unread_html()
        if chosen.q or chosen.label or chosen.state or (chosen.project and not self._project):
            return "<p><b>No issue matches</b></p><p>Change the filters to see others.</p>"
        if self._project is not None and self._project.tracker != BUILTIN:
            return "<p><b>No open issues at its forge</b></p>"
        return (
            "<p><b>No issues yet</b></p><p>Write one and mark it ready: a run can take it then.</p>"
        )

    # --- acting --------------------------------------------------------------------------------

    async def _act(self, key: str) -> None:
        issue = self._state.get(key)
        if issue is None or not issue.may_run:
            return

        async def start() -> None:
            run = await self._session.api.start_afk(issue.project_id, issue=issue.number)
            go = ("Open the run", f"/runs/{run.id}")
            self._session.notify(f"#{issue.number} is being worked on.", go=go)
            await self._load_one(issue.project_id)

        try:
            await self._state.start(issue, start, self._show)
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
            await self._load_one(issue.project_id)

    async def _drop(self, key: str, place: int) -> None:
        async with self._moving:
            await self._move(key, place)

    async def _step(self, key: str, step: int) -> None:
        async with self._moving:
            place = self._state.place_beside(key, step)
            if place is not None:
                await self._move(key, place)

    async def _move(self, key: str, place: int) -> None:
        issue = self._state.get(key)
        if issue is None:
            return

        async def send(drop: Drop) -> None:
            await self._session.api.change_issue(issue.project_id, issue.number, **drop.change)
            await self._load_one(issue.project_id)

        try:
            if await self._state.move(key, place, send, self._show):
                self._session.announce(self._place_words(key))
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
            await self._load_one(issue.project_id)

    def _place_words(self, key: str) -> str:
        column = self._state.column(IssueState.READY)
        keys = [f"{one.project_id}:{one.number}" for one in column.rows]
        issue = self._state.get(key)
        if issue is None or key not in keys:
            return ""
        place = f"{keys.index(key) + 1} of {column.count}"
        return f"#{issue.number} is now {place} in Ready, {issue.priority} priority"

    async def _load_one(self, project_id: str) -> None:
        self._dirty.add(project_id)
        await self.load()


def _states() -> list[Choice]:
    return [("", "All"), *((state.value, name) for state, name in GROUP_NAMES.items())]


class IssuesTab(IssuesView):
    """The issues of one project, in a tab of its page."""

    def __init__(self, session: PageSession, project: ProjectOut) -> None:
        super().__init__(session, None, project)
