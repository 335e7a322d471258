"""The steps of a run in one line: how far it is, and how long each step took."""

# stands alone: run.py is near the bound of a file
from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from app.api.schemas import RunOut, TimelineEvent
from app.pages.components.countdown import at_html, since_html
from app.pages.components.icons import mark
from app.pages.components.markup import clean, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession
from app.state.runs.run_steps import FoldedStep, folded


class RunSteps:
    """The folded timeline above the rest of a run's page."""

    def __init__(self, session: PageSession) -> None:
        self._session = session
        self._box = testid(ui.html("", sanitize=clean).classes("run-steps"), "run-steps")

    def show(self, run: RunOut, events: Sequence[TimelineEvent]) -> None:
        """Show the steps so far and those to come."""
        made = "".join(f"<li>{self._html(step)}</li>" for step in folded(events, run))
        self._box.set_content(f'<ol aria-label="Steps">{made}</ol>')

    def _html(self, step: FoldedStep) -> str:
        time = text(step.took)
        if step.since is not None:
            time = since_html(step.since, self._session.now())
        elif step.at is not None:
            time = at_html(step.at)
        beside = f'<span class="mut num">{time}</span>' if time else ""
        return f"{mark(step.state)}<b>{text(step.words)}</b>{beside}"
