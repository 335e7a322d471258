"""The `⋯` menu of a project, made when it is first opened."""

from __future__ import annotations

from nicegui import ui

from app.pages.components.afk_start import AfkStart
from app.pages.components.buttons import button
from app.pages.components.confirm_button import ConfirmButton
from app.pages.components.marks import testid
from app.pages.visit import Visit
from app.state.card_words import Act
from app.state.project_acts import ProjectActs
from app.state.wire import ApiProblem, NoAnswer


class ProjectMenu:
    """Open, all runs, start an issue, Reset and archive."""

    def __init__(self, visit: Visit, acts: ProjectActs, start: AfkStart, project_id: str) -> None:
        self._visit = visit
        self._acts = acts
        self._start = start
        self._id = project_id
        self._menu: ui.menu | None = None

    def turn(self) -> None:
        """Open the menu inside the element of the current slot, or close it where it is open."""
        was_open = self._menu is not None and self._menu.value
        if self._menu is not None:
            self._menu.delete()
            self._menu = None
        if was_open:
            return
        # links and buttons to tab through: a group, no menu that is walked with arrows
        with ui.menu().classes("menu").props("no-parent-event role=group") as self._menu:
            self._draw()
        self._menu.open()

    def _draw(self) -> None:
        project = self._visit.board.get(self._id)
        _item("Open", f"/projects/{self._id}")
        _item("All runs", f"/runs?project_id={self._id}")
        if project is None or project.archived_at is not None:
            return
        if project.state != "broken":
            _item("New run…", f"/projects/{self._id}/run")
            button("Start AFK run…", self._choose, mark="choose-issue")
            button("Reset", self._reset, mark=Act.RESET)
        ConfirmButton("Archive", "Press again to archive", self._archive, kind="danger")

    async def _choose(self) -> None:
        self._close()
        await self._start.choose()

    async def _reset(self) -> None:
        self._close()
        await self._acts.reset(self._id)
        if self._acts.trouble(self._id) is None:
            self._visit.say("No failures are counted any more.")

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
        self._close()

    def _close(self) -> None:
        if self._menu is not None and not self._menu.is_deleted:
            self._menu.close()


def _item(words: str, path: str) -> None:
    testid(ui.link(words, path).classes("item"), "menu-item")
