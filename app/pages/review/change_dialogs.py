"""The dialogs of a change: merge it, request changes, close it."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import ChangeOut, RunOut
from app.domain.words import AfterClose
from app.pages.components.buttons import button
from app.pages.components.chips import correlation_chip_html
from app.pages.components.fields import area_field
from app.pages.components.markup import clean, counted, plain_html
from app.pages.components.testids import testid
from app.pages.shell.page_session import Drawn, PageSession
from app.pages.shell.theme import dress_change
from app.pages.tracker.push_anyway import PushAnywayDialog
from app.state.review.change_asks import (
    AskedChange,
    close_choices,
    comments_words,
    drops_words,
    refusal_words,
)
from app.state.review.change_words import merged_words

Act = Callable[[], Awaitable[ChangeOut]]
# runs the act and shows its busy word meanwhile; False if the same change is busy already
Attempt = Callable[[AskedChange, Act, str], Awaitable[bool]]


async def just_do(_: AskedChange, act: Act, __: str) -> bool:
    """Run the act, for a page that shows nothing meanwhile."""
    await act()
    return True


class ChangeDialogs:
    """The dialogs of one page. `attempt` runs what they decide on, and may show it meanwhile.

    Each is drawn on first use: most visitors never open one. Of what a person may not do in any
    project there is none.
    """

    def __init__(self, session: PageSession, attempt: Attempt = just_do) -> None:
        dress_change()
        self._session, self._attempt = session, attempt
        self._merge: MergeDialog | None = None
        self._request: RequestChangesDialog | None = None
        self._close: CloseDialog | None = None

    def merge(self, asked: AskedChange) -> None:
        """Ask whether to merge."""
        if self._merge is None:
            self._merge = self._draw("merge", partial(MergeDialog, self._session, self._attempt))
        self._merge.open(asked)

    def request(self, asked: AskedChange, text: str = "") -> None:
        """Ask what the agent shall change; `text` was written already."""
        if self._request is None:
            self._request = self._draw(
                "request_changes", partial(RequestChangesDialog, self._session)
            )
        self._request.open(asked, text)

    def close(self, asked: AskedChange) -> None:
        """Ask why to close, and what becomes of the issue."""
        if self._close is None:
            self._close = self._draw("close", partial(CloseDialog, self._session, self._attempt))
        self._close.open(asked)

    def _draw(self, deed: str, draw: Callable[[], Drawn]) -> Drawn:
        with self._session.client:
            return self._session.offer_somewhere(deed, draw)


class _Refusal:
    """The sentence above a dialog's buttons that says why it was refused."""

    def __init__(self) -> None:
        self._place = testid(ui.html("", sanitize=clean), "form-error").props("role=alert")
        self.clear()

    def show(self, problem: ApiProblem | NoAnswer) -> None:
        """Show why, with the correlation id that finds it in the log."""
        chip = correlation_chip_html(problem.correlation_id)
        words = plain_html(refusal_words(problem))
        self._place.set_content(f'<div class="banner stop"><span>{words}</span>{chip}</div>')
        self._place.set_visibility(True)

    def clear(self) -> None:
        """Show nothing."""
        self._place.set_content("")
        self._place.set_visibility(False)


class MergeDialog:
    """Says what becomes of the commits; its button, Enter and a second `m` merge."""

    def __init__(self, session: PageSession, attempt: Attempt) -> None:
        self._session, self._attempt = session, attempt
        self._asked: AskedChange | None = None
        self._anyway = PushAnywayDialog()
        with ui.dialog() as self._dialog, ui.element("div").classes("sheet ask") as sheet:
            testid(sheet, "merge-dialog")
            self._title = ui.html("", sanitize=clean, tag="h2")
            self._words = ui.html("", sanitize=clean).classes("words")
            with ui.element("div").classes("foot"):
                ui.element("span").classes("sp")
                button("Cancel", self._dialog.close, kind="bare")
                sure = button("Merge", self._sure, kind="pri", mark="merge-confirm", key="m")
                sure.props("autofocus")

    def open(self, asked: AskedChange) -> None:
        """Ask about a change."""
        self._asked = asked
        self._title.set_content(f"Merge into {plain_html(asked.base)}?")
        self._words.set_content(merge_html(asked))
        self._dialog.open()

    async def _sure(self) -> None:
        asked, self._asked = self._asked, None
        self._dialog.close()
        if asked is not None:
            await self._merge(asked)

    async def _merge(self, asked: AskedChange, *, push_anyway: bool = False) -> None:
        api, answers = self._session.api, list[ChangeOut]()

        async def merge() -> ChangeOut:
            place = asked.project_id, asked.number
            answers.append(await api.merge(*place, push_anyway=push_anyway))
            return answers[-1]

        try:
            if await self._attempt(asked, merge, "Merging…"):
                say_merged(self._session, asked.project_id, answers[-1])
        except (ApiProblem, NoAnswer) as problem:
            if isinstance(problem, ApiProblem) and problem.asks_to_push:
                anyway = partial(self._merge, asked, push_anyway=True)
                self._anyway.open(asked.branch, problem.detail, anyway, verb="Merge")
            else:
                self._session.refuse(problem)


def say_merged(session: PageSession, project_id: str, change: ChangeOut) -> None:
    """Say that a change is merged, with Undo, or what its merge waits for."""
    undo = ("Undo", partial(undo_merge, session, project_id, change.number))
    is_made = change.merge_waits is None
    session.notify(merged_words(change), undo=undo if is_made else None)


async def undo_merge(session: PageSession, project_id: str, number: int) -> None:
    """Open the change that takes a merge back, and go to it."""
    try:
        revert = await session.api.undo_change(project_id, number)
    except (ApiProblem, NoAnswer) as problem:
        session.refuse(problem)
    else:
        session.go(revert.url)


def merge_html(asked: AskedChange) -> str:
    """Return what a merge does: to the commits, to the issue, and to comments not sent."""
    base, origin = (f'<span class="m">{plain_html(it)}</span>' for it in (asked.base, asked.origin))
    goes = "goes" if asked.commits == 1 else "go"
    words = [f"{counted(asked.commits, 'commit')} {goes} into {base} of {origin}, as one merge."]
    if asked.closes is not None:
        words.append(f"Issue #{asked.closes} is closed.")
    lines = [f"<p>{' '.join(words)}</p>"]
    if drops := drops_words(asked.drafts):
        lines.append(f'<p class="banner wait">{drops}</p>')
    return "".join(lines)


class RequestChangesDialog:
    """A text for the agent; it gets this person's line comments too. One key per opening."""

    def __init__(self, session: PageSession) -> None:
        self._session = session
        self._asked: AskedChange | None = None
        self._key, self._is_busy = "", False
        with ui.dialog() as self._dialog, ui.element("div").classes("sheet ask") as sheet:
            testid(sheet, "request-dialog")
            ui.html("Request changes", sanitize=clean, tag="h2")
            self._text = area_field("What should change?", mark="request-text")
            self._text.box.classes("untitled")
            self._text.control.props("autofocus")
            for keys in ("keydown.ctrl.enter", "keydown.meta.enter"):
                self._text.control.on(keys, self._send)
            self._words = ui.html("", sanitize=clean, tag="p").classes("words")
            self._refusal = _Refusal()
            with ui.element("div").classes("foot"):
                ui.element("span").classes("sp")
                button("Cancel", self._dialog.close, kind="bare")
                self._button = button("Send to agent", self._send, kind="pri", mark="request-send")
                with self._button:
                    ui.html("Ctrl ↵", sanitize=clean, tag="kbd").props("aria-hidden=true")

    def open(self, asked: AskedChange, text: str = "") -> None:
        """Ask about a change; `text` was written already."""
        if self._asked is None or not self._asked.is_same(asked) or text:
            self._text.show(text)
        self._asked, self._key = asked, str(uuid.uuid4())
        self._refusal.clear()
        more = f" and your {comments_words(asked.drafts)}" if asked.drafts else ""
        branch = f'<span class="m">{plain_html(asked.branch)}</span>'
        self._words.set_content(f"The agent continues on {branch} with this{more}.")
        self._dialog.open()

    async def _send(self) -> None:
        asked = self._asked
        if asked is None or self._is_busy:
            return
        self._busy(is_busy=True)
        try:
            run = await send_to_agent(self._session, asked, self._text.control.value, self._key)
        except (ApiProblem, NoAnswer) as problem:
            self._refusal.show(problem)
        else:
            self._asked = None
            self._dialog.close()
            say_sent(self._session, run)
        finally:
            self._busy(is_busy=False)

    def _busy(self, *, is_busy: bool) -> None:
        self._is_busy = is_busy
        self._button.set_text("Sending…" if is_busy else "Send to agent")
        self._button.set_enabled(not is_busy)


async def send_to_agent(
    session: PageSession, asked: AskedChange, text: str | None, key: str
) -> RunOut:
    """Send a text and this person's drafts. Raises ApiProblem, NoAnswer."""
    words = (text or "").strip() or None
    return await session.api.request_changes(asked.project_id, asked.number, words, key=key)


def say_sent(session: PageSession, run: RunOut) -> None:
    """Say that a run works on what was sent, with a link to it."""
    session.notify("Sent to the agent.", go=("Open the run", f"/runs/{run.id}"))


class CloseDialog:
    """The reason, which the issue's next run reads, and what becomes of the issue."""

    def __init__(self, session: PageSession, attempt: Attempt) -> None:
        self._session, self._attempt = session, attempt
        self._asked: AskedChange | None = None
        with ui.dialog() as self._dialog, ui.element("div").classes("sheet ask") as sheet:
            testid(sheet, "close-dialog")
            ui.html("Close without merging?", sanitize=clean, tag="h2")
            self._because = area_field("Why?", mark="close-because")
            self._because.box.classes("untitled")
            self._because.control.props("autofocus maxlength=500")
            # its types say nothing of what it holds
            self._issue: Any = ui.radio({}).props("dense")
            testid(self._issue, "close-issue").props["aria-label"] = "What becomes of the issue"
            self._refusal = _Refusal()
            with ui.element("div").classes("foot"):
                ui.element("span").classes("sp")
                button("Cancel", self._dialog.close, kind="bare")
                button("Close change", self._sure, kind="danger", mark="close-confirm")

    def open(self, asked: AskedChange) -> None:
        """Ask about a change."""
        if self._asked is None or not self._asked.is_same(asked):
            self._because.show("")
        self._asked = asked
        reads = " The next run on this issue reads it." if asked.closes is not None else ""
        self._because.control.props["placeholder"] = f"Why?{reads}"
        choices = {str(one): words for one, words in close_choices(asked.closes).items()}
        self._issue.set_options(choices, value=next(iter(choices), None))
        self._issue.set_visibility(bool(choices))
        self._refusal.clear()
        self._dialog.open()

    async def _sure(self) -> None:
        asked, because = self._asked, (self._because.control.value or "").strip()
        if asked is None:
            return
        after = None if self._issue.value is None else AfterClose(self._issue.value)
        close = partial(
            self._session.api.close_change, asked.project_id, asked.number, because or None, after
        )
        try:
            is_done = await self._attempt(asked, close, "Closing…")
        except (ApiProblem, NoAnswer) as problem:
            self._refusal.show(problem)
            return
        if is_done:
            self._asked = None
            self._dialog.close()
            self._session.notify(f"Change {asked.number} is closed.")
