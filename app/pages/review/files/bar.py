"""The bar at the bottom of a review: what is not sent yet, and what to do with the change."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import ChangeOut
from app.pages.components.buttons import ConfirmButton, button
from app.pages.components.icons import icon
from app.pages.components.markup import clean, counted, text
from app.pages.components.testids import testid
from app.pages.review.files.threads import ThreadBook
from app.pages.shell.page_session import PageSession

SEND_BY = "<kbd>Ctrl</kbd><kbd>⇧</kbd><kbd>↵</kbd>"
DEEDS = ("merge", "request_changes")
SENT = "Sent. The agent works on it; the change shows its commits."


@dataclass(frozen=True)
class ReviewActs:
    """The dialogs that decide on a change."""

    merge: Callable[[], None]
    request: Callable[[], None]
    close: Callable[[], None]


class ReviewBar:
    """Count, Discard, Approve and merge, Send to agent; hidden once the change is closed."""

    def __init__(
        self,
        session: PageSession,
        book: ThreadBook,
        acts: ReviewActs,
        half_typed: Callable[[], bool],
    ) -> None:
        self._session, self._book, self._acts = session, book, acts
        self._half_typed = half_typed
        # one per review: kept until it was answered, so that it cannot be sent twice
        self._key = ""
        self._is_busy = False
        with testid(ui.element("div").classes("review-bar"), "review-bar") as self._bar:
            self._bar.props('role=group aria-label="Your review"')
            self._count = testid(ui.html("", sanitize=clean, tag="span"), "review-count")
            self._count.classes("count")
            project_id, offer = book.at[0], session.offer
            self._discard_button = offer("remove_comment", project_id, self._draw_discard)
            self._merge = offer("merge", project_id, self._draw_merge)
            self._request = offer("request_changes", project_id, self._draw_request)
            self._send = offer("request_changes", project_id, self._draw_send)
        self._drop = offer("merge", project_id, self._draw_question)
        self._is_empty = not any(session.may(one, project_id) for one in DEEDS)

    def _draw_discard(self) -> ui.button:
        words, ask = "Discard", "Delete them?"
        made = ConfirmButton(words, ask, self._discard, kind="bare", mark="discard-review")
        return made.element

    def _draw_merge(self) -> ui.button:
        made = button("", self._approve, mark="approve-merge")
        made.props["data-key"] = "m"
        words = f'{icon("git-merge")} Approve<span class="rest">and merge</span>'
        with made:
            ui.html(words, sanitize=clean, tag="span")
        return made

    def _draw_request(self) -> ui.button:
        made = button("Request changes", self._acts.request, mark="review-request")
        made.props["data-key"] = "r"
        return made

    def _draw_send(self) -> ui.button:
        made = button("", self._send_all, kind="pri", mark="send-to-agent")
        words = f'{icon("send", kind="s")} Send to agent <span class="by">{SEND_BY}</span>'
        with made:
            ui.html(words, sanitize=clean, tag="span")
        made.props["aria-keyshortcuts"] = "Control+Shift+Enter"
        return made

    def show(self, change: ChangeOut) -> None:
        """Show what can be done now."""
        drafts = self._book.board.drafts()
        self._bar.set_visibility(change.state == "open" and not self._is_empty)
        for one in (self._count, self._discard_button):
            one.set_visibility(bool(drafts))
        # no agent made a revert: there is none to send anything to
        self._send.set_visibility(bool(drafts) and change.reverts is None)
        self._request.set_visibility(not drafts and change.reverts is None)
        self._merge.classes(add="" if drafts else "pri", remove="pri" if drafts else "")
        words = f"<b>{counted(len(drafts), 'comment')}</b> <span>not sent yet</span>"
        self._count.set_content(words if drafts else "")

    def _draw_question(self) -> ui.dialog:
        with ui.dialog() as dialog, ui.element("div").classes("sheet ask") as sheet:
            testid(sheet, "drop-dialog")
            self._asks = ui.html("", sanitize=clean, tag="h2")
            ui.html("Nobody would read them once the change is merged.", sanitize=clean)
            with ui.element("div").classes("foot"):
                ui.element("span").classes("sp")
                button("Keep reviewing", dialog.close, kind="bare")
                button("Drop them and merge…", self._go_on, mark="drop-and-merge")
        return dialog

    def _approve(self) -> None:
        drafts = self._book.board.drafts()
        if not drafts:
            self._acts.merge()
            return
        count = counted(len(drafts), "comment")
        self._asks.set_content(text(f"Merge without sending {count}?"))
        self._drop.open()

    def _go_on(self) -> None:
        # they stay until the merge is done: it can still be cancelled, or be refused
        self._drop.close()
        self._acts.merge()

    async def _discard(self) -> None:
        await self._book.remove_all(self._book.board.drafts())

    async def _send_all(self) -> None:
        drafts = self._book.board.drafts()
        if self._is_busy or not drafts:
            return
        if self._half_typed():
            self._session.notify("Add or cancel the comment that you are writing first.")
            return
        self._is_busy = True
        self._key = self._key or str(uuid.uuid4())
        self._send.props("aria-busy=true")
        try:
            run = await self._session.api.request_changes(
                *self._book.at,
                comments=sorted(one.id for one in drafts),
                key=self._key,
            )
        except ApiProblem as problem:
            self._key = ""
            self._session.refuse(problem)
        except NoAnswer as problem:
            self._session.refuse(problem)
        else:
            self._key = ""
            self._session.notify(SENT)
            self._session.go(f"/runs/{run.id}")
        finally:
            self._is_busy = False
            self._send.props(remove="aria-busy")
