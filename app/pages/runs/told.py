"""The prompts on pages: of a run, and of the run that a form describes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from nicegui import ui
from nicegui.events import GenericEventArguments
from pydantic import ValidationError

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import PromptOut, PromptPreview, TurnOut
from app.pages.components.markup import clean, counted, plain_html, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession
from app.state.page.refused_input import messages_of
from app.state.runs.run_form import RunForm

PAUSE = 0.4  # seconds without typing, after which the prompt is made again
NOTHING = "Nothing yet: the agent has not started."
WILL_BE_TOLD = "What it will be told"


class Told:
    """A folded section with the prompts of a run; folded, it tells how many words they have."""

    def __init__(self, session: PageSession, run_id: str) -> None:
        self._is_open = False
        self._turns: Sequence[TurnOut] = ()
        self._look = session.looker(partial(session.api.prompt, run_id), self._draw)
        with ui.element("details").classes("fold told") as fold:
            with ui.element("summary"):
                ui.html("What it was told", sanitize=clean, tag="span")
                self._size = ui.html("", sanitize=clean, tag="span").classes("mut num")
            self._box = testid(ui.html("", sanitize=clean), "told-text")
        testid(fold, "run-prompt")
        fold.on("toggle", self._toggle, js_handler="(e) => emit(e.target.open)")
        # nobody's first look waits for it
        session.on_arrival(self.refresh)

    async def _toggle(self, event: GenericEventArguments) -> None:
        self._is_open = bool(event.args)
        if self._is_open:
            await self.refresh()

    async def refresh(self) -> None:
        """Fetch the prompts: a turn may have begun."""
        await self._look()

    def _draw(self, prompt: PromptOut) -> None:
        self._turns = prompt.turns
        self._show()

    def _show(self) -> None:
        words = sum(len(one.text.split()) for one in self._turns)
        self._size.set_content(text(counted(words, "word")) if words else "")
        # what nobody reads is not sent
        if self._is_open:
            self._box.set_content(turns_html(self._turns))


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

    def __init__(self, session: PageSession, form: RunForm, on_shown: Callable[[], object]) -> None:
        self._api, self._form = session.api, form
        self._on_shown = on_shown
        self.is_shown = False
        self._timer: ui.timer | None = None
        self._look = session.looker(self._ask, self._draw)
        with ui.element("div").classes("f prompt-box") as self._box:
            self._head = testid(ui.label(WILL_BE_TOLD).classes("label"), "prompt-template")
            self._text = testid(ui.html("", sanitize=clean), "prompt-preview")
        self.now()
        session.on_return(self.now)

    def now(self) -> None:
        """Make the prompt again."""
        self.later(0)

    def later(self, seconds: float = PAUSE) -> None:
        """Make the prompt again once nothing has been typed for a moment."""
        if self._box.is_deleted:
            return
        if self._timer is not None:
            self._timer.cancel()
        with self._box:
            self._timer = ui.timer(seconds, self._look, once=True)

    async def _ask(self) -> PromptPreview | str | None:
        """Return the prompt, the sentence why there is none, or None if nobody answered."""
        try:
            return await self._api.preview(self._form.wishes())
        except ValidationError as error:
            return messages_of(error)
        except ApiProblem as problem:
            return problem.detail
        except NoAnswer:
            return None

    def _draw(self, made: PromptPreview | str | None) -> None:
        if made is None or self._box.is_deleted:
            return
        head, html = WILL_BE_TOLD, ""
        if isinstance(made, str):
            html = f'<p class="sub">{plain_html(made)}</p>'
        else:
            head += f" · {made.template}@{made.version}" if made.template else ""
            html = _text_html(made.text)
        self._head.set_text(head)
        self._text.set_content(html)
        self.is_shown = not isinstance(made, str)
        self._on_shown()
