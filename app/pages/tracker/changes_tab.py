"""The changes tab of a project: change requests of the built-in tracker."""

from __future__ import annotations

from functools import partial

from nicegui import ui

from app.api.schemas import ChangeOut, ProjectOut
from app.pages.components.buttons import button
from app.pages.components.countdown import ago_html
from app.pages.components.markup import clean, text
from app.pages.components.testids import testid
from app.pages.review.change_dialogs import Act, ChangeDialogs
from app.pages.shell.page_session import PageSession
from app.pages.tracker.words import change_html
from app.state.page.optimistic import OptimisticRows
from app.state.review.change_asks import AskedChange, asked_of


class ChangesTab:
    """Change requests, newest first, with Merge for open ones."""

    def __init__(self, session: PageSession, project: ProjectOut) -> None:
        self._session, self._project = session, project
        self._changes: OptimisticRows[ChangeOut] = OptimisticRows(_key_of, lambda c: c.number)
        self._rows: dict[int, tuple[tuple[ChangeOut, str], ui.element]] = {}
        self._none = ui.html("No change requests yet.", sanitize=clean).classes("card none")
        self._list = ui.element("div").classes("list")
        self._dialogs = ChangeDialogs(session, self._attempt)
        self.load = session.looker(lambda: session.api.changes(project.id), self._take)
        session.on("project.changed", self._follow)
        session.on_return(self.load)

    def _take(self, changes: list[ChangeOut]) -> None:
        self._changes.load(changes)
        self._show()

    def _show(self) -> None:
        if self._session.client.is_deleted:
            return
        changes = self._changes.visible()
        self._none.set_visibility(not changes)
        self._list.set_visibility(bool(changes))
        for place, change in enumerate(changes):
            row = self._row_of(change)
            if self._list.default_slot.children[place] is not row:
                row.move(target_index=place)

    def _row_of(self, change: ChangeOut) -> ui.element:
        """Return the row of a change, drawn again if it changed."""
        seen = (change, self._changes.word_of(_key_of(change)))
        drawn = self._rows.get(change.number)
        if drawn is not None and drawn[0] == seen:
            return drawn[1]
        if drawn is not None:
            drawn[1].delete()
        with self._list:
            self._rows[change.number] = (seen, self._draw(*seen))
        return self._rows[change.number][1]

    def _draw(self, change: ChangeOut, word: str) -> ui.element:
        path = f"/projects/{self._project.id}/changes/{change.number}"
        with ui.element("div").classes("item") as row:
            ui.html(change_html(change, path), sanitize=clean).classes("grow")
            ui.html(ago_html(change.created_at, self._session.now()), sanitize=clean).classes("sub")
            if word:
                ui.html(text(word), sanitize=clean, tag="span").classes("btn small off")
            elif _can_merge(change) and self._session.may("merge", self._project.id):
                ask = partial(self._ask_to_merge, change)
                button("Merge", ask, kind="small", mark="merge-change")
        return testid(row, "change-row", change=str(change.number))

    async def _ask_to_merge(self, change: ChangeOut) -> None:
        self._dialogs.merge(asked_of(self._project, change))

    async def _attempt(self, asked: AskedChange, act: Act, word: str) -> bool:
        change = self._changes.get(str(asked.number))
        if change is None:
            return False
        return bool(await self._changes.attempt(change, act, word=word, show=self._show))

    async def _follow(self, project: ProjectOut) -> None:
        if project.id == self._project.id:
            self._project = project
            await self.load()


def _can_merge(change: ChangeOut) -> bool:
    return change.state == "open" and change.merge_waits is None


def _key_of(change: ChangeOut) -> str:
    return str(change.number)
