"""A project's tracker (`/projects/{id}/issues`), and each issue's own page."""

from __future__ import annotations

import asyncio

from nicegui import ui

from app.pages.addresses import page_at
from app.pages.components.markdown import format_markdown
from app.pages.components.markup import clean, text
from app.pages.components.plain_sight import plain
from app.pages.components.tabs import chosen_tab
from app.pages.dress import dress_form, dress_issues
from app.pages.frame import frame
from app.pages.issue_panel import IssuePanel
from app.pages.project_changes import ChangesTab
from app.pages.project_door import enter, enter_project
from app.pages.project_issues import IssuesTab
from app.pages.project_tabs import ProjectTabs
from app.state.door import Door
from app.state.wire import ApiClient, IssueOut, ProjectOut

TABS = ("Issues", "Changes")
ELSEWHERE = "This project's issues are kept in its own tracker."


def register(door: Door) -> None:
    """Define `/projects/{id}/issues` and `/projects/{id}/issues/{n}`."""

    @page_at("/projects/{project_id}/issues")
    async def issues_page(project_id: str, tab: str = "") -> None:
        entered = await enter_project(door, project_id)
        if entered is None:
            return
        visit, project = entered
        dress_form()
        with frame(visit, title="Issues", active="projects", crumbs=crumbs_of(project)):
            if project.tracker != "builtin":
                ui.html(text(ELSEWHERE), sanitize=clean).classes("card none")
                return
            chosen = chosen_tab(TABS, tab)
            about = f"The tracker of {plain(project.name)}"
            tabs = ProjectTabs(visit, project, TABS, chosen, about=about)
            shown = (IssuesTab if chosen == "Issues" else ChangesTab)(visit, project)
        await asyncio.gather(shown.load(), tabs.look())

    @page_at("/projects/{project_id}/issues/{number}")
    async def issue_page(project_id: str, number: str) -> None:
        entered = await enter(door, lambda api: _find_issue(api, project_id, number))
        if entered is None:
            return
        visit, (project, issue, html) = entered
        dress_issues()
        dress_form()
        crumbs = [*crumbs_of(project), ("Issues", f"/projects/{project.id}/issues")]
        title = f"#{issue.number} {plain(issue.title)}"
        with frame(visit, title=title, active="projects", crumbs=crumbs) as page:
            panel = IssuePanel(visit, page, project, issue, html)
        await panel.load()


async def _find_issue(
    api: ApiClient, project_id: str, number: str
) -> tuple[ProjectOut, IssueOut, str]:
    asked = int(number) if number.isdecimal() and len(number) < 10 else 0
    project = await api.project(project_id)
    issue = await api.issue(project_id, asked)
    return project, issue, await format_markdown(issue.body)


def crumbs_of(project: ProjectOut) -> list[tuple[str, str]]:
    """The way to a project's page."""
    return [("Projects", "/"), (plain(project.name), f"/projects/{project.id}")]
