"""The changes tab of a project: change requests of the built-in tracker, to read and to merge."""

from __future__ import annotations

from functools import partial

from nicegui import ui

from app.pages.components.confirm_button import ConfirmButton
from app.pages.components.countdown import ago_html
from app.pages.components.marks import testid
from app.pages.components.markup import clean, counted, text
from app.pages.components.status_pill import pill_html
from app.pages.components.tabs import Tabs
from app.pages.visit import Visit
from app.state.wire import ApiProblem, ChangeOut, NoAnswer, ProjectOut

TONES = {"open": "acc", "merged": "go", "closed": "idle"}


class ChangesTab:
    """Change requests, newest first; open ones can be merged."""

    def __init__(self, visit: Visit, project: ProjectOut, tabs: Tabs) -> None:
        self._visit = visit
        self._id = project.id
        self._base = project.base_branch
        self._tabs = tabs
        self._rows: dict[int, tuple[ChangeOut, ui.element]] = {}
        self._none = ui.html("No change requests yet.", sanitize=clean).classes("card none")
        self._list = ui.element("div").classes("list")
        self.load = visit.looker(lambda: visit.api.changes(project.id), self._show)
        visit.on("project.changed", self._follow)
        visit.on_return(self.load)

    def _show(self, changes: list[ChangeOut]) -> None:
        self._tabs.count("Changes", sum(c.state == "open" for c in changes))
        self._none.set_visibility(not changes)
        self._list.set_visibility(bool(changes))
        for place, change in enumerate(changes):
            drawn = self._rows.get(change.number)
            if drawn is not None and drawn[0] == change:
                continue
            if drawn is not None:
                drawn[1].delete()
            with self._list:
                row = self._draw(change)
            row.move(target_index=place)
            self._rows[change.number] = (change, row)

    def _draw(self, change: ChangeOut) -> ui.element:
        with ui.element("div").classes("item") as row:
            ui.html(change_html(change), sanitize=clean).classes("grow")
            ui.html(ago_html(change.created_at, self._visit.now()), sanitize=clean).classes("sub")
            if change.run_id:
                ui.link("Open run", f"/runs/{change.run_id}").classes("btn small")
            if change.state == "open":
                ConfirmButton(
                    "Merge",
                    f"Merge into {self._base}?",
                    partial(self._merge, change.number),
                    kind="small pri",
                    mark="merge-change",
                )
        return testid(row, "change-row", change=str(change.number))

    async def _merge(self, number: int) -> None:
        try:
            await self._visit.api.merge(self._id, number)
        except (ApiProblem, NoAnswer) as problem:
            self._visit.refuse(problem)
        else:
            self._visit.say(f"Change {number} is merged into {self._base}.")
        await self.load()

    async def _follow(self, project: ProjectOut) -> None:
        if project.id == self._id:
            await self.load()


def change_html(change: ChangeOut) -> str:
    """A change request in two lines: number, title and state; branch and size."""
    size = f"{counted(change.commits, 'commit')} · {counted(change.files_changed, 'file')}"
    closes = f" · closes #{change.closes}" if change.closes else ""
    return (
        f'<div class="line"><span class="m sub">{change.number}</span>'
        f"<b>{text(change.title)}</b>{pill_html(change.state, TONES[change.state])}</div>"
        f'<div class="sub"><span class="m">{text(change.branch)} → {text(change.base)}</span>'
        f' · {size} · <span class="plus">+{change.additions}</span>'
        f' <span class="minus">−{change.deletions}</span>{closes}</div>'
    )
