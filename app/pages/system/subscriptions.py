"""The kinds of notifications that a person chose, by project and for all without a choice."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import SubscriptionsOut
from app.pages.components.buttons import button
from app.pages.components.fields import choice_field
from app.pages.components.markup import clean, plain, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession
from app.state.system.subscriptions import COLUMNS, SubscriptionBoard, SubscriptionRow

ABOUT = (
    "The receivers get these messages. A project has those of <b>All projects</b> until you "
    "choose others for it."
)


class SubscriptionsPanel:
    """A row of boxes for all projects, and one for each project with a choice."""

    def __init__(self, session: PageSession, seen: SubscriptionsOut) -> None:
        self._session = session
        self._board = SubscriptionBoard(seen)
        ui.html("What is sent", sanitize=clean, tag="h2").classes("above")
        ui.html(ABOUT, sanitize=clean, tag="p").classes("sub")
        with ui.element("div").classes("wrap"):
            self._table = testid(ui.element("table").classes("t chosen"), "subscriptions")
        with ui.element("div").classes("part"):
            self._draw_picker()
        self._show()
        self._look = session.looker(session.api.subscriptions, self._take)
        session.on("subscriptions.changed", lambda _: self._look())
        session.on_return(self._look)

    def _draw_picker(self) -> None:
        self._picker = choice_field("Choose for one project", {}, None, mark="subscribe-project")
        self._picker.control.on_value_change(self._on_pick)

    async def _on_pick(self, event: Any) -> None:
        if project_id := event.value:
            self._picker.control.set_value(None)
            # a project begins with what holds for all
            await self._choose(str(project_id), self._board.kinds_for_all)

    def _take(self, seen: SubscriptionsOut) -> None:
        self._board = SubscriptionBoard(seen)
        self._show()

    def _show(self) -> None:
        if self._session.client.is_deleted:
            return
        self._table.clear()
        with self._table:
            with ui.element("thead"), ui.element("tr"):
                for words in ("Project", *(words for _, words in COLUMNS)):
                    ui.html(text(words), sanitize=clean, tag="th").props("scope=col")
                ui.html('<span class="sr">Remove</span>', sanitize=clean, tag="th")
            with ui.element("tbody"):
                for one in self._board.rows():
                    self._draw_row(one)
        chosen = {one.project_id for one in self._board.rows()}
        left = {
            one.id: plain(one.name) for one in self._session.board.listing() if one.id not in chosen
        }
        self._picker.control.set_options(left)
        self._picker.box.set_visibility(bool(left))

    def _draw_row(self, row: SubscriptionRow) -> None:
        name = plain(row.name)
        with testid(ui.element("tr"), "subscription-row", project=row.project_id or "all"):
            ui.html(text(row.name), sanitize=clean, tag="td").classes("wide")
            for kind, words in COLUMNS:
                with ui.element("td") as cell:
                    cell.props["data-label"] = words
                    box = ui.element("input").props("type=checkbox")
                    box.props["aria-label"] = f"{name}: {words.lower()}"
                    box.props["data-kind"] = kind
                    if kind in row.kinds:
                        box.props["checked"] = True
                    box.on("change", partial(self._toggle, row, kind))
            with ui.element("td"):
                if row.is_chosen:
                    words = "Reset" if row.project_id is None else "Remove"
                    undo = partial(self._choose, row.project_id, None)
                    reset = button(words, undo, kind="small bare", mark="unsubscribe")
                    reset.props["aria-label"] = f"{words} the choice for {name}"

    async def _toggle(self, row: SubscriptionRow, kind: str) -> None:
        await self._choose(row.project_id, row.toggled(kind))

    async def _choose(self, project_id: str | None, kinds: Sequence[str] | None) -> None:
        try:
            self._take(await self._session.api.subscribe(project_id, kinds))
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
            self._show()  # the boxes as they were
