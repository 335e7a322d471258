"""The changes tab of a project: change requests of the built-in tracker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from nicegui import ui

from app.api.client.client import ApiClient, ApiProblem, NoAnswer
from app.api.schemas import ChangeOut, ProjectOut
from app.pages.components.buttons import ConfirmButton, button
from app.pages.components.countdown import ago_html
from app.pages.components.markup import clean, plain_html, text
from app.pages.components.testids import testid
from app.pages.runs.diff_view import diff_html
from app.pages.shell.page_session import PageSession
from app.pages.shell.theme import dress_runs
from app.pages.tracker.push_anyway import PushAnywayDialog
from app.pages.tracker.words import change_html
from app.state.page.optimistic import OptimisticRows


async def read_change(api: ApiClient, project_id: str, number: str) -> tuple[ChangeOut, str]:
    """Return a change request and its diff. Raises ApiProblem."""
    asked = int(number) if number.isdecimal() and len(number) < 10 else 0
    change, diff = await asyncio.gather(
        api.change(project_id, asked), api.change_diff(project_id, asked)
    )
    return change, diff


class ChangesTab:
    """Change requests, newest first, with Merge for open ones; `opened` is shown with its diff."""

    def __init__(
        self,
        session: PageSession,
        project: ProjectOut,
        *,
        opened: ChangeOut | None = None,
        diff: str = "",
    ) -> None:
        self._session = session
        self._id, self._base = project.id, project.base_branch
        self._opened = opened.number if opened else None
        self._changes: OptimisticRows[ChangeOut] = OptimisticRows(_key_of, lambda c: c.number)
        self._rows: dict[int, tuple[tuple[ChangeOut, str, str], ui.element]] = {}
        # by the change's number: why a merge was refused that a person may still force
        self._objections: dict[int, str] = {}
        if opened is not None:
            self._draw_opened(opened, diff)
        self._others = ui.html("Other change requests", sanitize=clean, tag="h2").classes("above")
        self._none = ui.html("No change requests yet.", sanitize=clean).classes("card none")
        self._list = ui.element("div").classes("list")
        self._anyway = PushAnywayDialog()
        self.load = session.looker(lambda: session.api.changes(project.id), self._take)
        session.on("project.changed", self._follow)
        session.on_return(self.load)

    def _draw_opened(self, change: ChangeOut, diff: str) -> None:
        dress_runs()
        self._changes.put(change)
        with testid(ui.element("section").classes("change"), "change", change=str(change.number)):
            self._place = ui.element("div").classes("list above")
            if change.body:
                lines = "\n".join(plain_html(line) for line in change.body.splitlines())
                ui.html(f'<pre class="body">{lines}</pre>', sanitize=clean).classes("above")
            whole_at = f"/api/v1/projects/{self._id}/changes/{change.number}/diff"
            shown = diff_html(diff, whole_at) or '<p class="sub">No changes.</p>'
            testid(ui.html(shown, sanitize=clean), "change-diff")

    def _take(self, changes: list[ChangeOut]) -> None:
        self._changes.load(changes)
        self._show()

    def _show(self) -> None:
        if self._session.client.is_deleted:
            return
        changes = self._changes.visible()
        listed = [c for c in changes if c.number != self._opened]
        self._none.set_visibility(not changes)
        self._list.set_visibility(bool(listed))
        self._others.set_visibility(self._opened is not None and bool(listed))
        for change in changes:
            is_opened = change.number == self._opened
            self._place_row(change, self._place if is_opened else self._list)
        for place, change in enumerate(listed):
            row = self._rows[change.number][1]
            if self._list.default_slot.children[place] is not row:
                row.move(target_index=place)

    def _place_row(self, change: ChangeOut, where: ui.element) -> None:
        word = self._changes.word_of(_key_of(change))
        seen = (change, word, self._objections.get(change.number, ""))
        drawn = self._rows.get(change.number)
        if drawn is not None and drawn[0] == seen:
            return
        if drawn is not None:
            drawn[1].delete()
        with where:
            self._rows[change.number] = (seen, self._draw(*seen))

    def _draw(self, change: ChangeOut, word: str, objection: str) -> ui.element:
        path = f"/projects/{self._id}/changes/{change.number}"
        with ui.element("div").classes("item") as row:
            ui.html(change_html(change, path), sanitize=clean).classes("grow")
            ui.html(ago_html(change.created_at, self._session.now()), sanitize=clean).classes("sub")
            if change.run_id:
                ui.link("Open run", f"/runs/{change.run_id}").classes("btn small")
            if word:
                ui.html(text(word), sanitize=clean, tag="span").classes("btn small off")
            elif change.state == "open":
                self._draw_acts(change, objection)
        return testid(row, "change-row", change=str(change.number))

    def _draw_acts(self, change: ChangeOut, objection: str) -> None:
        if change.number == self._opened:
            close = partial(self._close, change)
            ConfirmButton("Close", "Close it?", close, kind="small", mark="close-change")
        if objection:
            ask = partial(self._ask_to_merge, change, objection)
            button("Merge anyway…", ask, kind="small", mark="merge-change")
            return
        ConfirmButton(
            "Merge",
            f"Merge into {self._base}?",
            partial(self._merge, change),
            kind="small pri",
            mark="merge-change",
        )

    async def _ask_to_merge(self, change: ChangeOut, objection: str) -> None:
        merge = partial(self._merge, change, push_anyway=True)
        self._anyway.open(change.branch, objection, merge, verb="Merge")

    async def _merge(self, change: ChangeOut, *, push_anyway: bool = False) -> None:
        merge = partial(self._session.api.merge, self._id, change.number, push_anyway=push_anyway)
        if await self._attempt(change, merge, "Merging…"):
            self._session.notify(f"Change {change.number} is merged into {self._base}.")

    async def _close(self, change: ChangeOut) -> None:
        close = partial(self._session.api.close_change, self._id, change.number)
        if await self._attempt(change, close, "Closing…"):
            self._session.notify(f"Change {change.number} is closed.")

    async def _attempt(
        self, change: ChangeOut, act: Callable[[], Awaitable[ChangeOut]], word: str
    ) -> bool:
        try:
            return bool(await self._changes.attempt(change, act, word=word, show=self._show))
        except (ApiProblem, NoAnswer) as problem:
            if isinstance(problem, ApiProblem) and problem.asks_to_push:
                self._objections[change.number] = problem.detail
                self._show()
                await self._ask_to_merge(change, problem.detail)
            else:
                self._session.refuse(problem)
            return False

    async def _follow(self, project: ProjectOut) -> None:
        if project.id == self._id:
            await self.load()


def _key_of(change: ChangeOut) -> str:
    return str(change.number)
