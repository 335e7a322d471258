"""When a run starts: the fields of the form, and the banner of a run planned for later."""

from __future__ import annotations

from functools import partial
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import RunOut
from app.domain.formatting import iso
from app.domain.starts import moment_of, read_start
from app.domain.text.durations import span_words
from app.domain.words import Phase, Status
from app.pages.components.buttons import button
from app.pages.components.countdown import day_html, until_html
from app.pages.components.fields import text_field
from app.pages.components.markup import clean, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession
from app.state.runs.run_form import RunForm

ASK_ZONE = (
    "document.documentElement.dataset.zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone"
)
PLACEHOLDER = "1h, 02:00, tomorrow 02:00"


async def zone_of_reader() -> ZoneInfo | None:
    """Return the time zone that the person or the browser names; None if it is no known one."""
    try:
        return ZoneInfo(str(await ui.run_javascript(ASK_ZONE)))
    except (TimeoutError, ZoneInfoNotFoundError, ValueError, OSError):
        return None


async def learn_zone(form: RunForm) -> None:
    """Let a form read times of day in its reader's time zone."""
    form.zone = await zone_of_reader()


def plan_fields(form: RunForm) -> dict[str, Any]:
    """Draw the fields for when a run starts, when it expires and its tags, by their names."""
    hint = "Takes no place of the repository until then."
    delay = text_field("Start at", form.delay, placeholder=PLACEHOLDER, hint=hint, mark="delay")
    delay.control.on("focus", partial(learn_zone, form))
    with ui.element("div").classes("pair"):
        hint = "Counts from its start time, not from the submit."
        ttl = text_field("Expires after", form.ttl, placeholder="2h", hint=hint, mark="ttl")
        tags = text_field("Tags", form.tags, placeholder="night, cleanup", mark="tags")
    return {"delay": delay.control, "ttl": ttl.control, "tags": tags.control}


class PlanBanner:
    """Shows when a delayed run starts; moves it or starts it now."""

    def __init__(self, session: PageSession, project_id: str) -> None:
        self._session = session
        self._run: RunOut | None = None
        with ui.element("div").classes("banner") as self._box:
            testid(self._box, "run-plan")
            self._words = ui.html("", sanitize=clean, tag="span")
            ui.element("span").classes("sp")
            session.offer("change_run", project_id, self._draw_acts)
        self._ttl = testid(ui.html("", sanitize=clean).classes("sub said"), "run-ttl")

    def _draw_acts(self) -> None:
        self._now = button("Start now", self._start_now, kind="small", mark="start-now")
        self._when = ui.input(placeholder=PLACEHOLDER).classes("in when")
        self._when.props('outlined dense hide-bottom-space aria-label="Start at"')
        testid(self._when, "move-when").on("keydown.enter", self._move)
        self._button = button("Move", self._move, kind="small", mark="move-run")

    def show(self, run: RunOut) -> None:
        """Update the banner to the run's present state."""
        self._run = run
        is_planned = run.status is Status.DELAYED and run.starts_at is not None
        self._box.set_visibility(is_planned)
        if run.starts_at is not None and is_planned:
            now = self._session.now()
            left = f" · in {until_html(run.starts_at, now)}" if run.starts_at > now else ""
            self._words.set_content(f"Starts at {day_html(run.starts_at)}{left}")
        has_limit = run.ttl is not None and run.phase is Phase.WAITING
        self._ttl.set_visibility(has_limit)
        self._ttl.set_content(ttl_html(run) if has_limit else "")

    async def _start_now(self) -> None:
        await self._plan({"start_now": True})

    async def _move(self) -> None:
        try:
            start = read_start(self._when.value or "")
            if isinstance(start, str):
                start = iso(moment_of(start, self._session.now(), await zone_of_reader()))
        except ValueError as problem:
            self._session.notify(str(problem))
            return
        await self._plan({"starts_at": start})

    async def _plan(self, plan: dict[str, object]) -> None:
        if self._run is None:
            return
        for each in (self._now, self._button):
            each.disable()
        try:
            run = await self._session.api.plan_run(self._run.id, plan)
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
        else:
            self._when.set_value("")
            self.show(run)
        finally:
            for each in (self._now, self._button):
                each.enable()


def ttl_html(run: RunOut) -> str:
    """Return how long the run may wait, and from when that counts."""
    since = "its start time" if run.starts_at is not None else "when it was queued"
    also = ", not from the submit" if run.starts_at is not None else ""
    return text(
        f"Expires after {span_words(run.ttl or 0)} in the queue, counted from {since}{also}."
    )
