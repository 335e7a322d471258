"""The issues of all projects (`/issues`), of one project, and each issue's page."""

from __future__ import annotations

import asyncio

from nicegui import ui

from app.api.client.client import ApiClient
from app.api.schemas import IssueOut, ProjectOut
from app.pages.components.buttons import link_button
from app.pages.components.markup import clean, format_markdown, plain, plain_html, text
from app.pages.components.paging import chosen_tab
from app.pages.components.testids import testid
from app.pages.projects.card import status_html
from app.pages.projects.project import ProjectTabs
from app.pages.shell.frame import enter, enter_project, frame
from app.pages.shell.page_session import PageSession, page_at
from app.pages.shell.theme import dress_form, dress_issues
from app.pages.tracker.changes_tab import ChangesTab
from app.pages.tracker.issue_panel import IssuePanel
from app.pages.tracker.issues_tab import IssuesTab
from app.state.page.connection import Connection
from app.state.projects.card_words import sentence_of

ROWS = 50


TABS = ("Issues", "Changes")
ELSEWHERE = "This project uses an external tracker. Edit its issues there."


def register_ready_issues(connection: Connection) -> None:
    """Define `/issues`."""

    @page_at("/issues")
    async def issues_page() -> None:
        session = await PageSession.open(connection)
        with frame(session, title="Issues", active="issues"):
            ReadyIssues(session)


class ReadyIssues:
    """One row per project, by name, updated in place."""

    def __init__(self, session: PageSession) -> None:
        self._session = session
        self._rows: dict[str, ui.html] = {}
        with ui.element("div").classes("card none") as self._none:
            ui.html("No projects yet. Add one, and its issues are here.", sanitize=clean)
            link_button("Add project", "/projects/add")
        self._list = ui.element("div").classes("list").on("over", self._draw_all)
        self._rest = ui.html("", sanitize=clean).classes("sub")
        self._draw_all()
        session.board.on_change(self._draw)

    def _draw_all(self) -> None:
        self._draw({project.id for project in self._session.board.listing()})

    def _draw(self, changed: set[str]) -> None:
        projects = self._session.board.listing()
        shown = {project.id: project for project in projects[:ROWS]}
        for gone in self._rows.keys() - shown.keys():
            self._rows.pop(gone).delete()
        for place, project in enumerate(shown.values()):
            self._place(place, project, is_news=project.id in changed)
        self._none.set_visibility(not shown)
        self._list.set_visibility(bool(shown))
        more = len(projects) - len(shown)
        self._rest.set_content(
            f'and {more} more, each <a href="/projects">on its card</a>' if more else ""
        )

    def _place(self, place: int, project: ProjectOut, *, is_news: bool) -> None:
        row = self._rows.get(project.id)
        if row is None:
            is_news = True
            with self._list:
                row = self._rows[project.id] = ui.html("", sanitize=clean).classes("item")
            testid(row, "project-issues", project=project.id)
        if is_news:
            row.set_content(row_html(project, status_html(project, self._session.now())))
        if self._list.default_slot.children[place] is not row:
            row.move(target_index=place)


def row_html(project: ProjectOut, status: str) -> str:
    """Return a project's name, its ready issues and its status."""
    href = f"/projects/{text(project.id)}/issues"
    name = f'<div><a href="{href}">{plain_html(project.name)}</a></div>'
    words = f'<div class="sub">{plain_html(sentence_of(project))}</div>'
    ready = f'<b class="ready">{ready_words(project.ready_count)}</b>'
    link = f'<a class="btn small" href="{href}">Open issues</a>'
    return f'<div class="grow">{name}{words}</div>{ready}{status}{link}'


def ready_words(count: int | None) -> str:
    """Return `3 ready`; an unknown count is not shown as zero."""
    return "ready: not known" if count is None else f"{count} ready" if count else "none ready"


def register(connection: Connection) -> None:
    """Define `/projects/{id}/issues` and `/projects/{id}/issues/{n}`."""

    @page_at("/projects/{project_id}/issues")
    async def issues_page(project_id: str, tab: str = "") -> None:
        entered = await enter_project(connection, project_id)
        if entered is None:
            return
        session, project = entered
        dress_form()
        with frame(session, title="Issues", active="projects", crumbs=crumbs_of(project)):
            if project.tracker != "builtin":
                ui.html(text(ELSEWHERE), sanitize=clean).classes("card none")
                return
            chosen = chosen_tab(TABS, tab)
            about = f"The tracker of {plain(project.name)}"
            tabs = ProjectTabs(session, project, TABS, chosen, about=about)
            shown = (IssuesTab if chosen == "Issues" else ChangesTab)(session, project)
        await asyncio.gather(shown.load(), tabs.look())

    @page_at("/projects/{project_id}/issues/{number}")
    async def issue_page(project_id: str, number: str) -> None:
        entered = await enter(connection, lambda api: _find_issue(api, project_id, number))
        if entered is None:
            return
        session, (project, issue, html) = entered
        dress_issues()
        dress_form()
        crumbs = [*crumbs_of(project), ("Issues", f"/projects/{project.id}/issues")]
        title = f"#{issue.number} {plain(issue.title)}"
        with frame(session, title=title, active="projects", crumbs=crumbs) as page:
            panel = IssuePanel(session, page, project, issue, html)
        await panel.load()


async def _find_issue(
    api: ApiClient, project_id: str, number: str
) -> tuple[ProjectOut, IssueOut, str]:
    asked = int(number) if number.isdecimal() and len(number) < 10 else 0
    project = await api.project(project_id)
    issue = await api.issue(project_id, asked)
    return project, issue, await format_markdown(issue.body)


def crumbs_of(project: ProjectOut) -> list[tuple[str, str]]:
    """Return the breadcrumbs to a project's page."""
    return [("Projects", "/projects"), (plain(project.name), f"/projects/{project.id}")]
