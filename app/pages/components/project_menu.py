"""The `⋯` menu of a project, made when it is first opened."""

from __future__ import annotations

from nicegui import ui

from app.pages.components.afk_start import AfkStart
from app.pages.components.archive_button import archive_button, unarchive_button
from app.pages.components.buttons import button
from app.pages.components.marks import testid
from app.pages.visit import Visit
from app.state.card_words import Act
from app.state.project_acts import ProjectActs


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
        if project is None:
            return
        if project.archived_at is not None:
            unarchive_button(self._visit, self._id, self._close)
            return
        if project.state != "broken":
            _item("New run…", f"/projects/{self._id}/run")
            button("Start AFK run…", self._choose, mark="choose-issue")
            button("Reset", self._reset, mark=Act.RESET)
        archive_button(self._visit, self._id, self._close)

    async def _choose(self) -> None:
        self._close()
        await self._start.choose()

    async def _reset(self) -> None:
        self._close()
        await self._acts.reset(self._id)
        if self._acts.trouble(self._id) is None:
            self._visit.say("No failures are counted any more.")

    def _close(self) -> None:
        if self._menu is not None and not self._menu.is_deleted:
            self._menu.close()


def _item(words: str, path: str) -> None:
    testid(ui.link(words, path).classes("item"), "menu-item")
