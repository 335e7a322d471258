"""Parked (`/parked`): kept work with its reason, size and age; Deliver and Discard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import ParkedOut, ProjectOut
from app.domain.formatting import size_words
from app.pages.components.buttons import button
from app.pages.components.chips import copy_chip_html
from app.pages.components.countdown import ago_html
from app.pages.components.fields import text_field
from app.pages.components.markup import clean, plain, plain_html, text
from app.pages.components.testids import testid
from app.pages.shell.frame import frame, refused
from app.pages.shell.page_session import PageSession, page_at
from app.pages.tracker.push_anyway import PushAnywayDialog
from app.state.page.connection import Connection
from app.state.system.boards import ParkedBoard, key_of, loss_words

HEADINGS = ("Branch", "Project", "Holds", "Why", "Age", "Size", "")
ROWS = 100
PUSH = "Push anyway…"
WHAT = "unmerged work kept from failed or stopped runs"
Act = Callable[[ParkedOut], Awaitable[None]]


_CLASSES = ("m wide roomy named", "wide roomy named", "roomy", "wide roomy", "tight", "tight")


def register(connection: Connection) -> None:
    """Define `/parked`."""

    @page_at("/parked")
    async def parked_page() -> None:
        session = await PageSession.open(connection)
        screen = ParkedScreen(session)
        try:
            screen.board.load(await session.api.parked())
        except ApiProblem as problem:
            refused(session, problem, active="")
            return
        screen.draw()


class ParkedScreen:
    """One open page of parked work."""

    def __init__(self, session: PageSession) -> None:
        self._session = session
        self._limit = ROWS
        self._rows: dict[str, _Row] = {}
        self.board = ParkedBoard()
        self._look = session.looker(session.api.parked, self._take)

    def draw(self) -> None:
        """Draw the page and subscribe to changes."""
        session = self._session
        with frame(session, title="Parked", active="") as page:
            with page.beside:
                self._sum = ui.html("", sanitize=clean, tag="span").classes("sub")
            with ui.element("div").classes("wrap") as self._table:
                self._body = _draw_table()
            self._none = ui.html(
                "Nothing is parked. Unmerged work of ended runs appears here.",
                sanitize=clean,
            ).classes("card none")
            self._more = button("Show more", self._show_more)
            offer = session.offer_somewhere
            self._dialog = offer("discard", lambda: DiscardDialog(self._discard))
            self._push_dialog = offer("deliver", PushAnywayDialog)
        self._show()
        session.on("project.changed", self._follow)
        session.on_return(self._look)
        session.on_close(self._end)

    def _end(self) -> None:
        # it knows this screen: without it a closed page is gone at once
        vars(self).pop("_dialog", None)

    def _take(self, items: list[ParkedOut]) -> None:
        self.board.load(items)
        self._show()

    async def _follow(self, _: ProjectOut) -> None:
        await self._look()

    def _show(self) -> None:
        if self._session.client.is_deleted:
            return
        rows = self.board.rows()
        self._sum.set_content(
            text(" · ".join(part for part in (WHAT, self.board.summary()) if part))
        )
        self._none.set_visibility(not rows)
        self._table.set_visibility(bool(rows))
        self._more.set_visibility(len(rows) > self._limit)
        self._place({key_of(row): row for row in rows[: self._limit]})

    def _place(self, shown: dict[str, ParkedOut]) -> None:
        for gone in self._rows.keys() - shown.keys():
            self._rows.pop(gone).element.delete()
        for place, (key, row) in enumerate(shown.items()):
            if key not in self._rows:
                with self._body:
                    self._rows[key] = _Row(
                        self._session, row, self._deliver_or_ask, self._free_or_ask
                    )
            drawn = self._rows[key]
            drawn.show(row, self.board.word_of(row), self._session)
            if self._body.default_slot.children[place] is not drawn.element:
                drawn.element.move(target_index=place)

    def _show_more(self) -> None:
        self._limit += ROWS
        self._show()

    async def _deliver_or_ask(self, row: ParkedOut) -> None:
        if row.needs_push_anyway:
            self._ask_to_push(row, row.because)
        else:
            await self._deliver(row)

    def _ask_to_push(self, row: ParkedOut, because: str) -> None:
        push = partial(self._deliver, row, push_anyway=True)
        self._push_dialog.open(row.branch, because, push)

    async def _deliver(self, row: ParkedOut, *, push_anyway: bool = False) -> None:
        session = self._session
        deliver = partial(session.api.deliver, row.run_id, push_anyway=push_anyway)
        try:
            run = await self.board.deliver(row, deliver, self._show)
        except (ApiProblem, NoAnswer) as problem:
            if isinstance(problem, ApiProblem) and problem.asks_to_push:
                self._ask_to_push(row, problem.detail)
            else:
                session.refuse(problem)
        else:
            if run is not None and run.delivery is not None:
                session.notify(f"{row.branch} is now change request #{run.delivery.number}.")
        await self._look()

    def _free_or_ask(self, row: ParkedOut) -> Awaitable[None] | None:
        if row.is_lock:
            return self._discard(row, None)
        self._dialog.open(row)
        return None

    async def _discard(self, row: ParkedOut, confirm: str | None) -> None:
        session = self._session
        discard = partial(session.api.discard, row.project_id, row.branch, confirm)
        try:
            await self.board.discard(row, discard, self._show)
        except (ApiProblem, NoAnswer) as problem:
            session.refuse(problem)
            await self._look()
            return
        done = f"Issue #{row.issue} is free." if row.is_lock else f"{row.branch} was deleted."
        session.notify(done)


def _draw_table() -> ui.element:
    with ui.element("table").classes("t fold"):
        with ui.element("thead"), ui.element("tr"):
            for head in HEADINGS:
                ui.html(head or '<span class="sr">Actions</span>', sanitize=clean, tag="th").props(
                    "scope=col"
                )
        return ui.element("tbody")


class _Row:
    """One branch: its cells, Deliver if there is something to deliver, and Discard."""

    def __init__(
        self,
        session: PageSession,
        row: ParkedOut,
        deliver: Act,
        discard: Callable[[ParkedOut], Awaitable[None] | None],
    ) -> None:
        self._row = row
        offer = session.offer
        with ui.element("tr") as self.element:
            testid(self.element, "parked-row", branch=row.branch, project=row.project_id)
            self._cells = [ui.html("", sanitize=clean, tag="td").classes(c) for c in _CLASSES]
            with ui.element("td").classes("wide tight"), ui.element("div").classes("line"):
                press = partial(button, on_click=lambda: deliver(self._row), mark="deliver")
                self._deliver = offer(
                    "deliver", row.project_id, partial(press, "Deliver", kind="small")
                )
                press = partial(button, on_click=lambda: discard(self._row), mark="discard")
                self._discard = offer(
                    "discard", row.project_id, partial(press, "Discard…", kind="small danger")
                )

    def show(self, row: ParkedOut, word: str, session: PageSession) -> None:
        """Update the cells and buttons; `word` is the busy word of an action under way."""
        self._row = row
        for cell, html in zip(self._cells, _cells(row, session), strict=True):
            cell.set_content(html)
        self._deliver.set_visibility(row.can_deliver or bool(word))
        # opens a dialog that asks again before anything leaves this machine
        words, verb = (PUSH, "Push") if row.needs_push_anyway else ("Deliver", "Deliver")
        named = plain(f"{row.branch} of {row.project_name}")
        self._deliver.set_text(word or words)
        self._deliver.props["aria-label"] = f"{verb} {named}"
        self._discard.set_text("Free the issue" if row.is_lock else "Discard…")
        act = "Free the issue of" if row.is_lock else "Discard"
        self._discard.props["aria-label"] = f"{act} {named}"
        for pressed in (self._deliver, self._discard):
            pressed.set_enabled(not word)


def _cells(row: ParkedOut, session: PageSession) -> list[str]:
    branch = f'<a href="/runs/{text(row.run_id)}">{plain_html(row.branch)}</a>'
    project = f'<a href="/projects/{text(row.project_id)}">{plain_html(row.project_name)}</a>'
    size = "no copy" if row.bytes == 0 else size_words(row.bytes)
    age = ago_html(row.kept_since, session.now())
    return [branch, project, _holds_html(row), plain_html(row.because), age, text(size)]


def _holds_html(row: ParkedOut) -> str:
    words = text(row.holds)
    if not row.can_deliver and row.bytes == 0:
        return words
    # the run's diff tab shows the kept work and saves it as a patch
    return f'{words} <a href="/runs/{text(row.run_id)}?show=diff" class="see">See diff</a>'


class DiscardDialog:
    """Asks for the branch name before anything is deleted."""

    def __init__(self, discard: Callable[[ParkedOut, str], Awaitable[None]]) -> None:
        self._act = discard
        self._row: ParkedOut | None = None
        with ui.dialog() as self._dialog, ui.element("div").classes("sheet") as sheet:
            testid(sheet, "discard-dialog")
            self._title = ui.html("", sanitize=clean, tag="h2").classes("above")
            self._loss = ui.html("", sanitize=clean, tag="p").classes("above")
            self._name = text_field("Type the branch name", mono=True, mark="discard-branch")
            self._name.control.props("autofocus autocapitalize=off")
            self._name.control.on_value_change(self._judge)
            self._name.control.on("keydown.enter", self._submit)
            with ui.element("div").classes("foot"):
                ui.element("span").classes("sp")
                button("Keep", self._dialog.close, mark="keep")
                self._sure = button(
                    "Delete permanently", self._submit, kind="danger", mark="discard-confirm"
                )

    def open(self, row: ParkedOut) -> None:
        """Ask about one branch, with an empty name field."""
        self._row = row
        self._title.set_content(f"Discard {plain_html(row.branch)}?")
        chip = copy_chip_html(row.branch, row.branch, about="branch name")
        self._loss.set_content(f"{plain_html(loss_words(row))} {chip}")
        self._name.control.set_value("")
        self._judge()
        self._dialog.open()

    @property
    def _typed(self) -> str:
        return (self._name.control.value or "").strip()

    def _judge(self) -> None:
        self._sure.set_enabled(self._row is not None and self._typed == self._row.branch)

    async def _submit(self) -> None:
        row = self._row
        if row is None:
            return
        if self._typed != row.branch:
            self._name.refuse("This is not the branch name.")
            return
        self._row = None
        self._dialog.close()
        await self._act(row, self._typed)
