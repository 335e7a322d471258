"""A project (`/projects/{id}`): its status, and tabs for issues, runs, changes and settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nicegui import ui

from app.pages.components.buttons import link_button
from app.pages.components.markup import clean, text
from app.pages.components.project_card import setting_words, status_html
from app.pages.components.project_menu import ProjectMenu
from app.pages.components.status_pill import pill_html
from app.pages.components.tabs import Tabs, chosen_tab
from app.pages.frame import Page, frame, refused
from app.pages.project_changes import ChangesTab, read_change
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
    """Define `/projects/{id}` and `/projects/{id}/changes/{n}`."""

    @ui.page("/projects/{project_id}", dark=None)
    async def project_page(project_id: str, tab: str = "") -> None:
        visit = await Visit.open(door)
        try:
            project = await visit.api.project(project_id)
        except ApiProblem as problem:
            refused(visit, problem, active="projects")
            return
        chosen = chosen_tab(_tabs_of(project), tab)
        with _framed(visit, project, chosen) as row:
            shown = TABS[chosen](visit, project, row)
        await shown.load()

    @ui.page("/projects/{project_id}/changes/{number}", dark=None)
    async def change_page(project_id: str, number: str) -> None:
        visit = await Visit.open(door)
        try:
            project = await visit.api.project(project_id)
            change, diff = await read_change(visit.api, project_id, number)
        except ApiProblem as problem:
            refused(visit, problem, active="projects")
            return
        with _framed(visit, project, "Changes") as row:
            shown = ChangesTab(visit, project, row, opened=change, diff=diff)
        await shown.load()


def _tabs_of(project: ProjectOut) -> list[str]:
    # only the built-in tracker keeps issues and change requests here
    return list(TABS) if project.tracker == "builtin" else ["Runs", "Settings"]


@contextmanager
def _framed(visit: Visit, project: ProjectOut, chosen: str) -> Iterator[Tabs]:
    """The frame with the project's head; the chosen tab's content goes inside the `with`."""
    crumbs = [("Projects", "/")]
    with frame(visit, title=project.name, active="projects", crumbs=crumbs) as page:
        screen = ProjectScreen(visit, page, project)
        visit.on("project.changed", screen.follow)
        path, about = f"/projects/{project.id}", f"Parts of {project.name}"
        yield Tabs(_tabs_of(project), chosen, about=about, path=path)


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
