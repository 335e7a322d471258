"""The kinds of notifications that a person chose, by project and for all without a choice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
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
        self._rows: dict[str | None, _Row] = {}
        # one after the other: each choice holds all kinds of its row
        self._saving = asyncio.Lock()
        ui.html("What is sent", sanitize=clean, tag="h2").classes("above")
        ui.html(ABOUT, sanitize=clean, tag="p").classes("sub")
        with (
            ui.element("div").classes("wrap"),
            testid(ui.element("table").classes("t chosen"), "subscriptions"),
        ):
            with ui.element("thead"), ui.element("tr"):
                for words in ("Project", *(words for _, words in COLUMNS)):
                    ui.html(text(words), sanitize=clean, tag="th").props("scope=col")
                ui.html('<span class="sr">Remove</span>', sanitize=clean, tag="th")
            self._body = ui.element("tbody")
        with ui.element("div").classes("part"):
            self._draw_picker()
        self._show()
        self._look = session.looker(session.api.subscriptions, self._take)
        session.on("subscriptions.changed", lambda _: self._look())
        session.on_return(self._look)
        session.on_close(self._end)

    def _end(self) -> None:
        # the rows know this panel: without them a closed page is gone at once
        self._rows.clear()

    def _draw_picker(self) -> None:
        self._picker = choice_field("Choose for one project", {}, None, mark="subscribe-project")
        self._picker.control.on_value_change(self._on_pick)

    async def _on_pick(self, event: Any) -> None:
        if project_id := event.value:
            self._picker.control.set_value(None)
            # a project begins with what holds for all
            await self._choose(str(project_id), self._board.kinds_for_all)

    def _take(self, seen: SubscriptionsOut) -> None:
        if not self._saving.locked():
            # what is being saved is newer
            self._board = SubscriptionBoard(seen)
        self._show()

    def _show(self) -> None:
        """Bring the rows in line with the board; those that stay keep the focus."""
        if self._session.client.is_deleted:
            return
        rows = self._board.rows()
        for gone in self._rows.keys() - {one.project_id for one in rows}:
            self._rows.pop(gone).element.delete()
        for place, one in enumerate(rows):
            if one.project_id not in self._rows:
                with self._body:
                    self._rows[one.project_id] = _Row(one, self._toggle, self._remove)
            shown = self._rows[one.project_id]
            shown.show(one)
            if self._body.default_slot.children[place] is not shown.element:
                shown.element.move(target_index=place)
        chosen = {one.project_id for one in rows}
        left = {
            one.id: plain(one.name) for one in self._session.board.listing() if one.id not in chosen
        }
        self._picker.control.set_options(left)
        self._picker.box.set_visibility(bool(left))

    async def _toggle(self, project_id: str | None, kind: str) -> None:
        kinds = self._board.toggle(project_id, kind)
        if kinds is not None:
            self._show()
            await self._choose(project_id, kinds)

    async def _remove(self, project_id: str | None) -> None:
        await self._choose(project_id, None)

    async def _choose(self, project_id: str | None, kinds: Sequence[str] | None) -> None:
        seen: SubscriptionsOut | None = None
        async with self._saving:
            try:
                seen = await self._session.api.subscribe(project_id, kinds)
            except (ApiProblem, NoAnswer) as problem:
                self._session.refuse(problem)
        if seen is not None:
            self._take(seen)
        else:
            await self._look()  # the boxes as they stand


class _Row:
    """A project's boxes, drawn once."""

    def __init__(
        self,
        row: SubscriptionRow,
        toggle: Callable[[str | None, str], Awaitable[None]],
        remove: Callable[[str | None], Awaitable[None]],
    ) -> None:
        name, project = plain(row.name), row.project_id
        self._boxes: dict[str, ui.element] = {}
        with testid(ui.element("tr"), "subscription-row", project=project or "all") as self.element:
            ui.html(text(row.name), sanitize=clean, tag="td").classes("wide")
            for kind, words in COLUMNS:
                with ui.element("td") as cell:
                    cell.props["data-label"] = words
                    box = ui.element("input").props("type=checkbox")
                    box.props["aria-label"] = f"{name}: {words.lower()}"
                    box.props["data-kind"] = kind
                    box.on("change", partial(toggle, project, kind))
                    self._boxes[kind] = box
            with ui.element("td"):
                words = "Reset" if project is None else "Remove"
                self._undo = button(
                    words, partial(remove, project), kind="small bare", mark="unsubscribe"
                )
                self._undo.props["aria-label"] = f"{words} the choice for {name}"

    def show(self, row: SubscriptionRow) -> None:
        """Tick the boxes of the kinds that are sent."""
        for kind, box in self._boxes.items():
            is_sent = kind in row.kinds
            if box.props.get("checked") is not is_sent:
                box.props["checked"] = is_sent
        self._undo.set_visibility(row.is_chosen)
