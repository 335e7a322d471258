"""Showing what waits for a person: agent configuration of a project, texts of its issues."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import IssueTextOut, NextPlan, OthersCommentOut, ProjectOut, StateOut
from app.domain.safe_text import reveal
from app.domain.tracker.issue_trust import text_difference, waits_for_approval
from app.pages.components.buttons import button
from app.pages.components.markup import clean, plain_html, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession

# characters of a difference that a page shows; the command shows all of it
SHOWN = 50_000


def difference_html(words: str) -> str:
    """Return a difference as it is, with what is hidden in it made visible."""
    lines = words[:SHOWN].splitlines()
    if len(words) > SHOWN:
        lines.append("… and more than a page shows: the command line's --look shows it all")
    shown = "\n".join(map(plain_html, lines))
    return f'<pre class="body lines" tabindex="0">{shown}</pre>'


class TrustState:
    """The banner of a loop that waits because agent configuration changed on base."""

    def __init__(self, session: PageSession, project_id: str) -> None:
        self._session, self._id = session, project_id
        self._hold: str | None = None
        self._state: StateOut | None = None
        with ui.element("div").classes("banner wait tall") as self._box:
            self._words = ui.html("", sanitize=clean, tag="b")
            with ui.element("details").on("toggle", self._look):
                ui.html("What changed", sanitize=clean, tag="summary")
                self._diff = testid(ui.html("", sanitize=clean), "state-difference")
            self._button = session.offer("trust", project_id, self._trust_button)
        testid(self._box, "state-changed").set_visibility(False)

    def _trust_button(self) -> ui.button:
        return button("Trust this state", self._trust, kind="pri", mark="trust-state")

    def show(self, project: ProjectOut) -> None:
        """Show why the loop waits, or nothing."""
        if project.trust_hold != self._hold:
            self._hold, self._state = project.trust_hold, None
            self._words.set_content(text(project.trust_hold or ""))
            self._diff.set_content("")
        self._box.set_visibility(project.trust_hold is not None)

    async def _look(self) -> None:
        if self._state is None:
            try:
                self._state = await self._session.api.state(self._id)
            except (ApiProblem, NoAnswer) as problem:
                self._session.refuse(problem)
                return
            names = "\n".join(self._state.files)
            self._diff.set_content(difference_html(self._state.diff or names))

    async def _trust(self) -> None:
        self._button.disable()
        try:
            # what is trusted is what was shown, if it was
            state = self._state or await self._session.api.state(self._id)
            if state.commit is not None:
                self._session.board.apply(await self._session.api.trust(self._id, state.commit))
        except (ApiProblem, NoAnswer) as problem:
            self._state = None
            self._session.refuse(problem)
        self._button.enable()


class ApproveText:
    """Buttons for the issues whose texts wait for a person."""

    def __init__(
        self, session: PageSession, project_id: str, then: Callable[[], Awaitable[None]]
    ) -> None:
        self._session, self._id, self._then = session, project_id, then
        self._shown: list[int] = []
        with ui.element("div").classes("rows") as self._box:
            pass

    def show(self, plan: NextPlan) -> None:
        """Show a button for each of them."""
        waiting = [one.issue for one in plan.holds if waits_for_approval(one.because)]
        if waiting == self._shown:
            return
        self._shown = waiting
        self._box.clear()
        with self._box:
            for number in waiting:
                open_it = partial(open_text, self._session, self._id, number, self._then)
                button(f"Look at #{number}", open_it, kind="small", mark="look-at-text")


async def open_text(
    session: PageSession, project_id: str, number: int, then: Callable[[], Awaitable[None]]
) -> None:
    """Open an issue's text, to be approved; `then` is called once it is."""
    try:
        found = await session.api.issue_text(project_id, number)
    except (ApiProblem, NoAnswer) as problem:
        session.refuse(problem)
        return
    TextDialog(session, project_id, number, found, then)


class TextDialog:
    """Shows an issue's text against the one that was labelled, to be approved."""

    def __init__(
        self,
        session: PageSession,
        project_id: str,
        number: int,
        found: IssueTextOut,
        then: Callable[[], Awaitable[None]],
    ) -> None:
        self._session, self._id, self._number = session, project_id, number
        self._sha256, self._then = found.sha256, then
        self._is_waiting = bool(found.because)
        with session.client, ui.dialog() as self._dialog, ui.element("div").classes("sheet wide"):
            self._dialog.props["aria-label"] = f"Text of #{number}"
            ui.html(f"Text of #{number}", sanitize=clean, tag="h2").classes("above")
            because = found.because or "Nobody needs to look at this text."
            ui.html(plain_html(because), sanitize=clean, tag="p").classes("sub")
            words = text_difference(found.title_was, found.body_was, found.title, found.body)
            words = words or text_difference(None, None, found.title, found.body)
            testid(ui.html(difference_html(words), sanitize=clean), "text-difference")
            unique = {one.sha256: one for one in found.comments}
            may_approve = session.may("approve_text", project_id)
            ticks = {one.sha256: _tick(one, may_approve) for one in unique.values()}
            self._ticks = {sha256: box for sha256, box in ticks.items() if box is not None}
            with ui.element("div").classes("foot"):
                ui.element("span").classes("sp")
                button("Close", self._dialog.close)
                words = "Approve this text" if self._is_waiting else "Save"
                self._button = session.offer(
                    "approve_text",
                    project_id,
                    lambda: button(words, self._approve, kind="pri", mark="approve-text"),
                )
            self._button.set_visibility(self._is_waiting or bool(self._ticks))
        self._dialog.on("hide", self._dialog.delete)
        self._dialog.open()

    async def _approve(self) -> None:
        self._button.disable()
        try:
            ticked = [sha256 for sha256, box in self._ticks.items() if box.value]
            await self._session.api.approve_text(
                self._id, self._number, self._sha256, ticked if self._ticks else None
            )
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
            self._button.enable()
            return
        self._dialog.close()
        what = f"The text of #{self._number} is approved." if self._is_waiting else "Saved."
        self._session.notify(what)
        await self._then()


def _tick(comment: OthersCommentOut, may_approve: bool) -> ui.checkbox | None:
    """Show a comment by somebody without write access; who may approve it ticks it for prompts."""
    box = None
    if may_approve:
        named = f"Give agents this comment by {reveal(comment.author)}"
        box = testid(ui.checkbox(named, value=comment.ticked), "tick-comment")
    testid(ui.html(difference_html(comment.body), sanitize=clean), "others-comment")
    return box
