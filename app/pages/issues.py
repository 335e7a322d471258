"""A project's tracker (`/projects/{id}/issues`), and each issue's own page."""

from __future__ import annotations

from nicegui import ui

from app.pages.addresses import page_at
from app.pages.components.markdown import format_markdown
from app.pages.components.markup import clean, text
from app.pages.components.plain_sight import plain
from app.pages.components.tabs import Tabs, chosen_tab
from app.pages.dress import dress_issues
from app.pages.frame import frame, refused
from app.pages.issue_panel import IssuePanel
from app.pages.project_changes import ChangesTab
from app.pages.project_issues import IssuesTab
from app.pages.visit import Visit
from app.state.door import Door
from app.state.wire import ApiProblem, ProjectOut

TABS = ("Issues", "Changes")
ELSEWHERE = "This project's issues are kept in its own tracker."


def register(door: Door) -> None:
    """Define `/projects/{id}/issues` and `/projects/{id}/issues/{n}`."""

    @page_at("/projects/{project_id}/issues")
    async def issues_page(project_id: str, tab: str = "") -> None:
        visit = await Visit.open(door)
        try:
            project = await visit.api.project(project_id)
        except ApiProblem as problem:
            refused(visit, problem, active="projects")
            return
        with frame(visit, title="Issues", active="projects", crumbs=crumbs_of(project)):
            if project.tracker != "builtin":
                ui.html(text(ELSEWHERE), sanitize=clean).classes("card none")
                return
            chosen = chosen_tab(TABS, tab)
            row = Tabs(TABS, chosen, about=f"The tracker of {plain(project.name)}")
            shown = (IssuesTab if chosen == "Issues" else ChangesTab)(visit, project, row)
        await shown.load()

    @page_at("/projects/{project_id}/issues/{number}")
    async def issue_page(project_id: str, number: str) -> None:
        visit = await Visit.open(door)
        asked = int(number) if number.isdecimal() and len(number) < 10 else 0
        try:
            project = await visit.api.project(project_id)
            issue = await visit.api.issue(project_id, asked)
            html = await format_markdown(issue.body)
        except ApiProblem as problem:
            refused(visit, problem, active="projects")
            return
        dress_issues()
        crumbs = [*crumbs_of(project), ("Issues", f"/projects/{project.id}/issues")]
        title = f"#{issue.number} {plain(issue.title)}"
        with frame(visit, title=title, active="projects", crumbs=crumbs) as page:
            panel = IssuePanel(visit, page, project, issue, html)
        await panel.load()


def crumbs_of(project: ProjectOut) -> list[tuple[str, str]]:
    """The way to a project's page."""
    return [("Projects", "/"), (plain(project.name), f"/projects/{project.id}")]
