"""A project (`/projects/{id}`): its status, and tabs for issues, runs, changes and settings."""

from __future__ import annotations

from nicegui import ui

from app.pages.components.buttons import link_button
from app.pages.components.markup import clean, text
from app.pages.components.project_card import setting_words, status_html
from app.pages.components.project_menu import ProjectMenu
from app.pages.components.status_pill import pill_html
from app.pages.components.tabs import Tabs, chosen_tab
from app.pages.frame import Page, frame, refused
from app.pages.project_changes import ChangesTab
from app.pages.project_issues import IssuesTab
from app.pages.project_runs import RunsTab
from app.pages.project_settings import SettingsTab
from app.pages.visit import Visit
from app.state.card_words import sentence_of
from app.state.door import Door
from app.state.wire import ApiProblem, ProjectOut

Tab = IssuesTab | RunsTab | ChangesTab | SettingsTab
TABS: dict[str, type[Tab]] = {
    "Issues": IssuesTab,
    "Runs": RunsTab,
    "Changes": ChangesTab,
    "Settings": SettingsTab,
}


def register(door: Door) -> None:
    """Define `/projects/{id}`."""

    @ui.page("/projects/{project_id}", dark=None)
    async def project_page(project_id: str, tab: str = "") -> None:
        visit = await Visit.open(door)
        try:
            project = await visit.api.project(project_id)
        except ApiProblem as problem:
            refused(visit, problem, active="projects")
            return
        # only the built-in tracker keeps issues and change requests here
        names = list(TABS) if project.tracker == "builtin" else ["Runs", "Settings"]
        crumbs = [("Projects", "/")]
        with frame(visit, title=project.name, active="projects", crumbs=crumbs) as page:
            screen = ProjectScreen(visit, page, project)
            row = Tabs(names, chosen_tab(names, tab), about=f"Parts of {project.name}")
            shown = TABS[chosen_tab(names, tab)](visit, project, row)
            visit.on("project.changed", screen.follow)
        await shown.load()


class ProjectScreen:
    """The header and what is said under it."""

    def __init__(self, visit: Visit, page: Page, project: ProjectOut) -> None:
        self._visit = visit
        self._page = page
        self._id = project.id
        with page.beside:
            self._pill = ui.html("", sanitize=clean, tag="span")
        with page.actions:
            self._run = link_button(
                "New run", f"/projects/{project.id}/run", kind="pri", mark="new-run", key="n"
            )
            ProjectMenu(visit, project.id, project.name)
        self._banner = ui.html("", sanitize=clean)
        self._draw(project)
        visit.on_return(self._come_back)

    def follow(self, project: ProjectOut) -> None:
        """Draw the project as it is now, if it is this one."""
        if project.id == self._id:
            self._draw(project)

    def _come_back(self) -> None:
        project = self._visit.board.get(self._id)
        if project is not None:
            self._draw(project)

    def _draw(self, project: ProjectOut) -> None:
        self._page.set_title(project.name)
        self._pill.set_content(status_html(project, self._visit.now()))
        self._run.set_visibility(project.archived_at is None and project.state != "broken")
        self._banner.set_content(banner_html(project))


def banner_html(project: ProjectOut) -> str:
    """What a project is, and what stands in its way, in a line or two."""
    settings = (
        f'<div class="sub m under">{text(setting_words(project))} · {text(project.origin)}</div>'
    )
    if project.state == "broken":
        return f'{settings}<div class="banner stop">{text(sentence_of(project))}</div>'
    if project.state == "cloning":
        percent = project.clone_percent or 0
        return (
            f'{settings}<div class="banner acc">{text(sentence_of(project))}'
            f'<progress class="budget" max="100" value="{percent}"'
            ' aria-label="Cloned, in percent"></progress></div>'
        )
    if project.paused:
        rows = "".join(
            f'<span class="fail">{pill_html(f.status, "stop")} {text(f.because)}</span>'
            for f in project.recent_failures
        )
        title = f"{project.strikes} runs in a row failed. Automatic runs wait."
        return f'{settings}<div class="banner stop tall"><b>{title}</b>{rows}</div>'
    return settings
