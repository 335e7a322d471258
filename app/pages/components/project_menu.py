"""The `⋯` menu of a project, made when it is first opened."""

from __future__ import annotations

from nicegui import ui

from app.pages.components.buttons import button
from app.pages.components.confirm_button import ConfirmButton
from app.pages.visit import Visit
from app.state.wire import ApiProblem, NoAnswer


class ProjectMenu:
    """Open and archive."""

    def __init__(self, visit: Visit, project_id: str, name: str, *, kind: str = "") -> None:
        self._visit = visit
        self._id = project_id
        self._menu: ui.menu | None = None
        self._dots = button("⋯", self._open, kind=f"ico {kind}", mark="card-menu")
        self._dots.props["aria-haspopup"] = "menu"
        self.name(name)

    def name(self, name: str) -> None:
        """Say whose menu it is."""
        self._dots.props["aria-label"] = f"More about {name}"

    def _open(self) -> None:
        if self._menu is not None:
            self._menu.delete()
        project = self._visit.board.get(self._id)
        with self._dots, ui.menu().classes("menu") as self._menu:
            ui.link("Open", f"/projects/{self._id}").classes("item")
            ui.link("All runs", f"/runs?project_id={self._id}").classes("item")
            if project is not None and project.archived_at is None:
                archive = ConfirmButton(
                    "Archive", "Press again to archive", self._archive, kind="danger"
                )
                archive.element.props("align=left")
        self._menu.open()

    async def _archive(self) -> None:
        visit = self._visit
        try:
            # the card goes at once, and this menu with it
            with visit.client:
                await visit.board.archive(
                    self._id, lambda: visit.api.archive_project(self._id), visit.now()
                )
        except (ApiProblem, NoAnswer) as problem:
            visit.refuse(problem)
            return
        visit.say("Archived. Its history can still be read.")
        if self._menu is not None and not self._menu.is_deleted:
            self._menu.close()
