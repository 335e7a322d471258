"""The prompts on pages: of a run, and of the run that a form describes."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui
from nicegui.events import GenericEventArguments

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import TurnOut
from app.pages.components.markup import clean, plain_html, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession
from app.state.runs.run_form import RunForm

PAUSE = 0.4  # seconds without typing, after which the prompt is made again
NOTHING = "Nothing yet: the agent has not started."


class Told:
    """A folded section with the prompts of a run, fetched when it is opened."""

    def __init__(self, session: PageSession, run_id: str) -> None:
        self._session, self._id, self._is_open = session, run_id, False
        with ui.element("details").classes("fold") as fold:
            ui.html("What it was told", sanitize=clean, tag="summary")
            self._box = testid(ui.html("", sanitize=clean), "told-text")
        testid(fold, "told")
        fold.on("toggle", self._toggle, js_handler="(e) => emit(e.target.open)")

    async def _toggle(self, event: GenericEventArguments) -> None:
        self._is_open = bool(event.args)
        await self.refresh()

    async def refresh(self) -> None:
        """Fetch the prompts if the section is open: a turn may have begun."""
        if not self._is_open:
            return
        try:
            turns = (await self._session.api.prompt(self._id)).turns
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
            return
        if not self._session.client.is_deleted:
            with self._session.client:
                self._box.set_content(turns_html(turns))


def turns_html(turns: Sequence[TurnOut]) -> str:
    """Return the prompts of a run's turns, each under the template that made it."""
    if not turns:
        return f'<p class="sub">{text(NOTHING)}</p>'
    return "".join(_turn_html(turn, is_only=len(turns) == 1) for turn in turns)


def _turn_html(turn: TurnOut, *, is_only: bool) -> str:
    by = f"{turn.template}@{turn.version}" if turn.template else ""
    heads = ["" if is_only else f"Turn {turn.n}", f"from template {by}" if by else ""]
    head = " · ".join(part for part in heads if part)
    above = f'<p class="sub">{plain_html(head)}</p>' if head else ""
    return f"{above}{_text_html(turn.text)}"


def _text_html(words: str) -> str:
    lines = "\n".join(plain_html(line) for line in words.split("\n"))
    return f'<pre class="task prompt-text" tabindex="0">{lines}</pre>'


class PromptBox:
    """The prompt that the form's run would get, made again while the person types."""

    def __init__(self, session: PageSession, form: RunForm) -> None:
        self._session, self._form = session, form
        self._timer: ui.timer | None = None
        with ui.element("div").classes("f prompt-box") as self._box:
            self._head = testid(ui.label("Prompt").classes("label"), "prompt-template")
            self._text = testid(ui.html("", sanitize=clean), "prompt-preview")
        self.later(0)

    def later(self, seconds: float = PAUSE) -> None:
        """Make the prompt again once nothing has been typed for a moment."""
        if self._box.is_deleted:
            return
        if self._timer is not None:
            self._timer.cancel()
        with self._box:
            self._timer = ui.timer(seconds, self._refresh, once=True)

    async def _refresh(self) -> None:
        try:
            order = self._form.order(self._session.now())
        except ValueError:
            return  # the form says what is wrong when it is sent
        head, html = "Prompt", ""
        try:
            made = await self._session.api.preview(order)
        except ApiProblem as problem:
            html = f'<p class="sub">{plain_html(problem.detail)}</p>'
        except NoAnswer:
            return
        else:
            head = f"Prompt · {made.template}@{made.version}" if made.template else head
            html = _text_html(made.text)
        if not self._session.client.is_deleted and not self._box.is_deleted:
            with self._session.client:
                self._head.set_text(head)
                self._text.set_content(html)
