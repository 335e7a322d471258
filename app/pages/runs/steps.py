"""The steps of a run in one line: how far it is, how long each took; behind them, all events."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from app.api.schemas import RunOut, TimelineEvent
from app.domain.ids import shorten
from app.domain.text.durations import step_words
from app.pages.components.countdown import at_html, since_html
from app.pages.components.icons import mark
from app.pages.components.markup import clean, plain_html, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession
from app.state.runs.run_steps import FoldedStep, folded
from app.state.runs.run_timeline import Step, Tone, steps_of

AT_ONCE = 0.05  # seconds; the duration of a shorter step is not shown


class RunSteps:
    """The card above the rest of a run's page; `All N events` opens the whole timeline."""

    def __init__(self, session: PageSession) -> None:
        self._session = session
        with ui.element("div").classes("run-steps"):
            self._line = testid(ui.html("", sanitize=clean), "run-steps")
            # no script: it opens in a page that is not connected, too
            with ui.element("details").classes("fold all-events"):
                self._count = ui.html("", sanitize=clean, tag="summary")
                self._timeline = TimelineView(session)

    def show(self, run: RunOut, events: Sequence[TimelineEvent], reported: str) -> None:
        """Show the steps so far and those to come; `reported` is the agent's own progress."""
        made = "".join(f"<li>{self._html(step)}</li>" for step in folded(events, run))
        self._line.set_content(f'<ol aria-label="Steps">{made}</ol>')
        self._count.set_content("1 event" if len(events) == 1 else f"All {len(events)} events")
        self._timeline.show(run, events, reported)

    def _html(self, step: FoldedStep) -> str:
        time = text(step.took)
        if step.since is not None:
            time = since_html(step.since, self._session.now())
        elif step.at is not None:
            time = at_html(step.at)
        beside = f'<span class="mut num">{time}</span>' if time else ""
        return f"{mark(step.state)}<b>{text(step.words)}</b>{beside}"


class TimelineView:
    """The events of one run, one below the other."""

    def __init__(self, session: PageSession) -> None:
        self._session = session
        self._steps: list[ui.html] = []
        self._box = testid(ui.element("div").classes("tl"), "timeline")
        self._box.props('role=list aria-label="Timeline"')

    def show(self, run: RunOut, events: Sequence[TimelineEvent], reported: str) -> None:
        """Update the steps that differ; `reported` is the agent's report of its progress."""
        steps = steps_of(events, run, reported)
        while len(self._steps) > len(steps):
            self._steps.pop().delete()
        with self._box:
            while len(self._steps) < len(steps):
                made = ui.html("", sanitize=clean).props("role=listitem")
                self._steps.append(testid(made, "timeline-event"))
        for element, step in zip(self._steps, steps, strict=True):
            element.classes(replace=f"ev {step.tone}")
            element.props["data-kind"] = step.kind
            element.set_content(self._step_html(step, run))

    def _step_html(self, step: Step, run: RunOut) -> str:
        if step.tone is Tone.NEXT:
            return f'<span class="sub">{text(step.heading)}</span>'
        when = at_html(step.at, with_seconds=True) if step.at else ""
        words = step.sentence.replace(run.id, shorten(run.id))
        details = [plain_html(words)] if words else []
        if step.tone is Tone.NOW and step.at is not None:
            details.append(since_html(step.at, self._session.now()))
        elif step.seconds is not None and step.seconds >= AT_ONCE:
            details.append(text(step_words(step.seconds)))
        below = f'<span class="sub">{" · ".join(details)}</span>' if details else ""
        return f'<b>{text(step.heading)}</b> <span class="when">{when}</span>{below}'
