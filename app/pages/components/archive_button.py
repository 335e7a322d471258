"""Archiving a project: a button that is pressed twice; its history stays."""

from __future__ import annotations

from collections.abc import Callable

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
