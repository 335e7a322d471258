"""The New run form, over the current page or on its own page, filled from the address."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import BranchOut, IssueOut, ProjectOut
from app.pages.components.buttons import button
from app.pages.components.markup import clean, plain, plain_html
from app.pages.components.testids import testid
from app.pages.runs.form import RunFormView
from app.pages.shell.frame import enter_project, forbidden, frame
from app.pages.shell.page_session import PageSession, page_at
from app.pages.shell.theme import dress_runs
from app.state.page.connection import Connection
from app.state.runs.run_form import RunForm

Answer = TypeVar("Answer")
# a plain click opens the dialog; a click with a modifier follows the link
IN_PLACE = (
    "(e) => { if (e.ctrlKey || e.metaKey || e.shiftKey || e.altKey) return;"
    " e.preventDefault(); emit(); }"
)


def register(connection: Connection) -> None:
    """Define `/projects/{id}/run`."""

    @page_at("/projects/{project_id}/run")
    async def new_run_page(project_id: str) -> None:
        entered = await enter_project(connection, project_id)
        if entered is None:
            return
        session, project = entered
        if forbidden(session, "start", project.id, active="projects"):
            return
        branches, issues, form, unknown = await _ask(
            session, project, session.client.request.query_params
        )
        title = f"Run {plain(project.name)}"
        dress_runs()
        crumbs = [("Projects", "/projects"), (plain(project.name), f"/projects/{project.id}")]
        with frame(session, title=title, active="projects", crumbs=crumbs):
            if unknown:
                ui.html(plain_html(unknown), sanitize=clean).classes("banner wait")
            leave = f"/projects/{project.id}"
            RunFormView(session, form, branches, issues, lambda: session.go(leave), is_page=True)


class RunDialog(ui.dialog):
    """The form in a dialog; a page has at most one."""


async def open_run_dialog(
    session: PageSession, project: ProjectOut, query: Mapping[str, str] | None = None
) -> None:
    """Open the form over a page that has the form's styles; each opening has a new key."""
    if any(isinstance(one, RunDialog) for one in session.client.elements.values()):
        return
    with session.client, RunDialog().props('aria-label="New run" no-backdrop-dismiss') as dialog:
        sheet = ui.element("div").classes("sheet")
    dialog.on("hide", dialog.delete)
    try:
        branches, issues, form, unknown = await _ask(session, project, query or {})
    except NoAnswer as silence:
        dialog.delete()
        session.refuse(silence)
        return
    if session.client.is_deleted:
        return
    with sheet:
        ui.html(f"<h2>Run {plain_html(project.name)}</h2>", sanitize=clean).classes("stack")
        if unknown:
            ui.html(plain_html(unknown), sanitize=clean).classes("banner wait")
        RunFormView(session, form, branches, issues, dialog.close)
    dialog.open()


def opens_dialog(session: PageSession, link: ui.link, project_id: str) -> ui.link:
    """Make a link to a project's form open the dialog; in a new tab it still opens the page."""

    async def open_it() -> None:
        project = session.board.get(project_id)
        if project is not None:
            await open_run_dialog(session, project)

    return link.on("click", open_it, js_handler=IN_PLACE)


class NewRunButton:
    """`New run` (key n): the form of the only project in `projects()`, or of a chosen one."""

    def __init__(
        self,
        session: PageSession,
        projects: Callable[[], Sequence[ProjectOut]],
        *,
        mark: str = "new-run",
    ) -> None:
        self._session, self._projects = session, projects
        self.element = session.offer_somewhere("start", lambda: self._draw(mark))

    def _draw(self, mark: str) -> ui.button:
        made = button("New run", self._press, kind="pri", mark=mark, key="n")
        with made:
            self._menu = ui.menu().classes("menu").props("no-parent-event")
        return made

    async def _press(self) -> None:
        open_to_runs = [
            p for p in self._projects() if can_start(p) and self._session.may("start", p.id)
        ]
        if not open_to_runs:
            self._session.notify("Add a project first.")
        elif len(open_to_runs) == 1:
            await open_run_dialog(self._session, open_to_runs[0])
        else:
            self._offer(open_to_runs)

    def _offer(self, projects: Sequence[ProjectOut]) -> None:
        self._menu.clear()
        with self._menu, ui.element("div").classes("scroll"):
            for project in projects:
                entry = ui.link(plain(project.name), f"/projects/{project.id}/run").classes("item")
                testid(entry, "run-in", project=project.id)
                entry.on("click", self._menu.close, js_handler=IN_PLACE)
                opens_dialog(self._session, entry, project.id)
        self._menu.open()


def can_start(project: ProjectOut) -> bool:
    """Return True for a project in which runs can be started."""
    return project.archived_at is None and project.state != "broken"


async def _ask(
    session: PageSession, project: ProjectOut, query: Mapping[str, str]
) -> tuple[list[BranchOut], list[IssueOut], RunForm, str]:
    """Fetch what a form needs, and fill it; a failed part is empty, with the first reason why."""
    api, reasons = session.api, list[str]()

    async def if_possible(asked: Awaitable[Answer]) -> Answer | None:
        try:
            return await asked
        except ApiProblem as problem:
            reasons.append(problem.detail)
            return None

    branches, issues, quota, templates = await asyncio.gather(
        if_possible(api.branches(project.id)),
        if_possible(api.issues(project.id)),
        if_possible(api.quota()),
        if_possible(api.templates(project.id)),
    )
    form = RunForm.open(project, query, templates or ())
    form.quota = quota
    return branches or [], issues or [], form, reasons[0] if reasons else ""
