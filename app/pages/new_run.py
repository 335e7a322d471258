"""New run: the form on its own page, filled from the address."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import TypeVar

from nicegui import ui

from app.pages.addresses import page_at
from app.pages.components.markup import clean
from app.pages.components.plain_sight import plain, plain_html
from app.pages.dress import dress_form, dress_runs
from app.pages.frame import frame
from app.pages.project_door import enter_project
from app.pages.run_form_view import RunFormView
from app.pages.visit import Visit
from app.state.door import Door
from app.state.run_form import RunForm
from app.state.wire import ApiProblem, BranchOut, IssueOut, ProjectOut, QuotaOut

Answer = TypeVar("Answer")


def register(door: Door) -> None:
    """Define `/projects/{id}/run`."""

    @page_at("/projects/{project_id}/run")
    async def new_run_page(project_id: str) -> None:
        entered = await enter_project(door, project_id)
        if entered is None:
            return
        visit, project = entered
        branches, issues, quota, unknown = await _ask(visit, project)
        form = RunForm.open(project, visit.client.request.query_params)
        form.quota = quota
        title = f"Run {plain(project.name)}"
        dress_runs()
        dress_form()
        crumbs = [("Projects", "/"), (plain(project.name), f"/projects/{project.id}")]
        with frame(visit, title=title, active="projects", crumbs=crumbs):
            if unknown:
                ui.html(plain_html(unknown), sanitize=clean).classes("banner wait")
            leave = f"/projects/{project.id}"
            RunFormView(visit, form, branches, issues, lambda: visit.go(leave), is_page=True)


async def open_run_dialog(visit: Visit, project: ProjectOut, query: Mapping[str, str]) -> None:
    """The same form over the page one is on; each opening has a key of its own."""
    branches, issues, quota, _ = await _ask(visit, project)
    form = RunForm.open(project, query)
    form.quota = quota
    dress_runs()
    with (
        visit.client,
        ui.dialog().props('aria-label="New run"') as dialog,
        ui.element("div").classes("sheet"),
    ):
        ui.html(f"<h2>Run {plain_html(project.name)}</h2>", sanitize=clean).classes("stack")
        RunFormView(visit, form, branches, issues, lambda: _close(dialog))
    dialog.on("hide", dialog.delete)
    dialog.open()


def _close(dialog: ui.dialog) -> None:
    dialog.close()


async def _ask(
    visit: Visit, project: ProjectOut
) -> tuple[list[BranchOut], list[IssueOut], QuotaOut | None, str]:
    """Branches, issues and quota; what cannot be had is empty, with the first reason why."""
    api, reasons = visit.api, list[str]()

    async def if_possible(asked: Awaitable[Answer]) -> Answer | None:
        try:
            return await asked
        except ApiProblem as problem:
            reasons.append(problem.detail)
            return None

    branches, issues, quota = await asyncio.gather(
        if_possible(api.branches(project.id)),
        if_possible(api.issues(project.id)),
        if_possible(api.quota()),
    )
    return branches or [], issues or [], quota, reasons[0] if reasons else ""
