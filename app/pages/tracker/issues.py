"""The issues of all projects (`/issues`), of one project, and each issue's page."""

from __future__ import annotations

import asyncio

from nicegui import ui

from app.api.client.client import ApiClient
from app.api.schemas import IssueOut, ProjectOut
from app.domain.words import BUILTIN
from app.pages.components.markup import format_markdown, plain
from app.pages.components.paging import chosen_tab
from app.pages.projects.project import ProjectTabs
from app.pages.shell.frame import enter, enter_project, frame
from app.pages.shell.page_session import PageSession, page_at
from app.pages.shell.theme import dress_issues, dress_runs
from app.pages.tracker.changes_tab import ChangesTab
from app.pages.tracker.forge_issue import ForgeIssuePanel
from app.pages.tracker.issue_panel import IssuePanel
from app.pages.tracker.issues_view import IssuesView
from app.state.page.connection import Connection

TABS = ("Issues", "Changes")


def register_all_issues(connection: Connection) -> None:
    """Define `/issues`."""

    @page_at("/issues")
    async def issues_page() -> None:
        session = await PageSession.open(connection)
        dress_issues()
        dress_runs()
        with frame(session, title="Issues", active="issues", fills=True) as page:
            view = IssuesView(session, page)
        await view.load()


def register(connection: Connection) -> None:
    """Define `/projects/{id}/issues` and `/projects/{id}/issues/{n}`."""

    @page_at("/projects/{project_id}/issues")
    async def issues_page(project_id: str, tab: str = "") -> None:
        entered = await enter_project(connection, project_id)
        if entered is None:
            return
        session, project = entered
        dress_issues()
        dress_runs()
        crumbs = crumbs_of(project)
        with frame(session, title="Issues", active="issues", crumbs=crumbs, fills=True) as page:
            chosen = chosen_tab(TABS, tab)
            about = f"The tracker of {plain(project.name)}"
            with ui.element("div").classes("tabs-bar"):
                tabs = ProjectTabs(session, project, TABS, chosen, about=about)
            if chosen == "Issues":
                shown = IssuesView(session, page, project)
            else:
                with ui.element("div").classes("pane"):
                    shown = ChangesTab(session, project)
        await asyncio.gather(shown.load(), tabs.look())

    @page_at("/projects/{project_id}/issues/{number}")
    async def issue_page(project_id: str, number: str, do: str = "") -> None:
        entered = await enter(connection, lambda api: _find_issue(api, project_id, number))
        if entered is None:
            return
        session, (project, issue, html) = entered
        dress_issues()
        dress_runs()
        crumbs = [*crumbs_of(project), ("Issues", f"/projects/{project.id}/issues")]
        title = f"#{issue.number} {plain(issue.title)}"
        with frame(session, title=title, active="projects", crumbs=crumbs) as page:
            draw = IssuePanel if project.tracker == BUILTIN else ForgeIssuePanel
            panel = draw(session, page, project, issue, html)
            # a link of the inbox
            if do == "approve" and isinstance(panel, ForgeIssuePanel):
                session.on_arrival(panel.open_text)
        await panel.load()


async def _find_issue(
    api: ApiClient, project_id: str, number: str
) -> tuple[ProjectOut, IssueOut, str]:
    asked = int(number) if number.isdecimal() and len(number) < 10 else 0
    project = await api.project(project_id)
    # a page waits for no forge
    issue = await api.seen_issue(project_id, asked)
    return project, issue, await format_markdown(issue.body)


def crumbs_of(project: ProjectOut) -> list[tuple[str, str]]:
    """Return the breadcrumbs to a project's page."""
    return [("Projects", "/projects"), (plain(project.name), f"/projects/{project.id}")]
