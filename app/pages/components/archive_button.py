"""Archiving a project, by two presses, and taking it back, by one; its history stays."""

from __future__ import annotations

from collections.abc import Callable

from nicegui import ui

from app.pages.components.buttons import button
from app.pages.components.confirm_button import ConfirmButton
from app.pages.visit import Visit
from app.state.wire import ApiProblem, NoAnswer


def archive_button(
    visit: Visit, project_id: str, done: Callable[[], object] = lambda: None
) -> ConfirmButton:
    """The button; a project with a live run is refused, and says so."""

    async def archive() -> None:
        try:
            # what holds the button may go at once, and the button with it
            with visit.client:
                await visit.board.archive(
                    project_id, lambda: visit.api.archive_project(project_id), visit.now()
                )
        except (ApiProblem, NoAnswer) as problem:
            visit.refuse(problem)
            return
        visit.say("Archived. Its history can still be read.")
        done()

    return ConfirmButton(
        "Archive", "Press again to archive", archive, kind="danger", mark="archive-project"
    )


def unarchive_button(
    visit: Visit, project_id: str, done: Callable[[], object] = lambda: None
) -> ui.button:
    """The button that takes an archived project back."""

    async def unarchive() -> None:
        try:
            with visit.client:
                project = await visit.api.unarchive_project(project_id)
                visit.board.apply(project)
        except (ApiProblem, NoAnswer) as problem:
            visit.refuse(problem)
            return
        visit.say(f"{project.name} is back. Auto is off.")
        done()

    return button("Unarchive", unarchive, mark="unarchive-project")
