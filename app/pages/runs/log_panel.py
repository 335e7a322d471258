"""The live log of a run in chunks of lines: the newest chunk grows, the oldest is deleted."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from nicegui import ui
from nicegui.events import GenericEventArguments

from app.api.client.client import ApiProblem, EntriesPiece, LogPiece, NoAnswer
from app.api.schemas import LogHitsOut, RunOut
from app.domain.agents.liveness import warn_after
from app.domain.formatting import iso
from app.domain.text.ansi import PLAIN, Style
from app.domain.words import Phase, Status
from app.pages.components.buttons import button
from app.pages.components.markup import clean, plain_html, text
from app.pages.components.testids import testid
from app.pages.runs.terminal import entries_html, lines_html
from app.pages.shell.page_session import PageSession
from app.state.runs.entry_log import EntryLog
from app.state.runs.log_find import LogFind
from app.state.runs.run_log import MAX_LINES, PAUSE_SECONDS, LogPace, RunLog

# New lines are added to the newest chunk while it is short, so few lines are sent twice.
CHUNK_LINES = 40
BIG_CHUNK_LINES = 500
READABLE, RAW = "Readable", "Raw"
# characters of a search, and hits fetched per request
MAX_WORDS, HITS = 200, 500
Draw = Callable[[Any, Style], tuple[str, Style]]


@dataclass
class _Chunk:
    element: ui.html
    end_style: Style
    html: str
    lines: int


class LogPanel:
    """The log of one run, bounded to `MAX_LINES` lines on the server and in the browser.

    The output of an agent with an event stream is shown as entries, or raw if the reader prefers.
    """

    def __init__(self, session: PageSession, run_id: str) -> None:
        self._session, self._run_id = session, run_id
        self._log: RunLog | EntryLog = RunLog(self._read)
        self._html: Draw = lines_html
        self._has_entries = False
        self._form = RAW
        self._forms: dict[str, ui.element] = {}
        self._chunks: deque[_Chunk] = deque()
        self._lock = asyncio.Lock()
        self._is_asked_again = False
        self._pace = LogPace()
        self._later: asyncio.TimerHandle | None = None
        self._is_held = False
        self._run: RunOut | None = None
        self._gone = ""
        self._find = LogFind(self._search)
        # True while the drawn lines are exactly the log's lines
        self._is_as_held = False
        self._shown_hits = 0

    async def load(self) -> None:
        """Read the end of the log before it is drawn."""
        try:
            self._has_entries = await self._session.api.has_log_entries(self._run_id)
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
            return
        is_raw = self._session.client.request.cookies.get("runyard_log") == RAW.lower()
        self._take_form(READABLE if self._has_entries and not is_raw else RAW)
        await self._load_end()
        if not self._log.lines:
            self._gone = await self._removal()

    def _take_form(self, form: str) -> None:
        self._form = form
        if form == READABLE:
            self._log, self._html = EntryLog(self._read_entries), entries_html
        else:
            self._log, self._html = RunLog(self._read), lines_html

    async def _load_end(self) -> None:
        try:
            await self._log.load_end()
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)

    async def _removal(self) -> str:
        """Return the sentence shown in place of a log that has been removed."""
        try:
            timeline = await self._session.api.timeline(self._run_id)
        except (ApiProblem, NoAnswer):
            return ""
        said = [one.sentence for one in timeline if one.kind == "log_removed"]
        return said[-1] if said else ""

    def draw(self) -> None:
        """Draw the tools, the box, and the lines read so far."""
        with ui.element("div").props("data-log-panel"):
            with ui.element("div").classes("tools"):
                self._draw_tools()
            self._quiet = testid(ui.html("", sanitize=clean), "run-quiet")
            with ui.element("div").classes("log live") as self._box:
                testid(self._box, "run-log").props("data-log tabindex=0 role=log")
                self._box.props('aria-label="Log" aria-live=off')
                self._box.on("hold", self._hold, js_handler="(event) => emit(event.detail)")
                self._box.on("find", self._search_for, js_handler="(event) => emit(event.detail)")
                with ui.element("div").classes("early") as self._early:
                    button("… earlier lines …", self._load_earlier, kind="small", mark="earlier")
                self._empty = ui.html(text(self._gone), sanitize=clean).classes("empty")
                self._lines = ui.element("div")
                self._open = ui.html("", sanitize=clean)
        self._draw_anew()

    async def catch_up(self) -> None:
        """Add new lines; calls during a call become one more read."""
        if self._lock.locked() or self._later is not None:
            self._is_asked_again = True
            return
        async with self._lock:
            self._is_asked_again = True
            while self._is_asked_again and not self._session.client.is_deleted:
                self._is_asked_again = False
                try:
                    burst = await self._log.catch_up(
                        is_flooded=self._pace.is_flooded, is_held=self._is_held
                    )
                except (ApiProblem, NoAnswer):
                    return  # the next log event tries again
                self._pace.draw(len(burst.lines), sum(len(one.text) for one in burst.lines))
                with self._session.client:
                    if burst.is_fresh:
                        self._draw_anew()
                    else:
                        self._add(list(burst.lines))
                    self._show_quiet()
                if self._pace.is_flooded:
                    self._later = asyncio.get_running_loop().call_later(PAUSE_SECONDS, self._resume)
                    return

    def _resume(self) -> None:
        self._later = None
        if not self._session.client.is_deleted:
            self._session.start(self.catch_up())

    def show(self, run: RunOut) -> None:
        """Update the panel for the run's state; Follow is offered while the run is not done."""
        self._run, is_done = run, run.phase is Phase.DONE
        self._follow.set_visibility(not is_done)
        nothing = "Nothing was written." if is_done else "Nothing was written yet."
        self._empty.set_content(text(self._gone or nothing))
        self._show_quiet()

    def _show_quiet(self) -> None:
        # sent once: the browser counts the time, and only while it is connected
        run, html = self._run, ""
        since = self._log.written_at or (run.started_at if run else None)
        if run is not None and run.status is Status.RUNNING and since is not None:
            if run.hold and not run.hold.startswith("No output"):
                html = f'<span class="quiet">{plain_html(run.hold)}</span>'
            else:
                ticks = f'data-quiet="{iso(since)}" data-after="{self._warns_after(run):g}"'
                html = f'<span class="quiet" {ticks} hidden></span>'
        self._quiet.set_content(html)

    def _warns_after(self, run: RunOut) -> float:
        project = self._session.board.get(run.project_id)
        return warn_after(project.stall_seconds if project else None).total_seconds()

    def _draw_tools(self) -> None:
        with ui.element("button").classes("chip toggle") as follow:
            follow.props("type=button data-log-follow aria-pressed=true")
            ui.html("<span data-word>Following</span>", sanitize=clean, tag="span")
        self._follow = follow
        follow.on("click", self._follow_again)
        if self._has_entries:
            self._draw_switch()
        find = ui.element("input").classes("find").props(f"type=search maxlength={MAX_WORDS}")
        find.props('data-log-find placeholder="Find in the log" aria-label="Find in the log"')
        testid(find, "log-search")
        self._count = ui.html("", sanitize=clean, tag="span").props("data-log-count role=status")
        with ui.element("span").classes("steps") as self._steps:
            for by, sign, words in ((-1, "▴", "Previous hit"), (1, "▾", "Next hit")):
                with ui.element("button").classes("btn small").props("type=button") as made:
                    made.props(f'data-log-step={by} title="{words}" aria-label="{words}"')
                    ui.html(sign, sanitize=clean, tag="span")
        self._steps.set_visibility(False)
        ui.element("span").classes("sp")
        name = text(self._run_id)
        link = f'<a class="btn small" href="/api/v1/runs/{name}/log" download="{name}.log" '
        link += 'data-testid="log-download" '
        link += 'title="Download the log" aria-label="Download the log"><span class="only-wide">'
        link += 'Download</span><span class="only-narrow">↓</span></a>'
        ui.html(link, sanitize=clean, tag="span")

    def _draw_switch(self) -> None:
        with ui.element("div").classes("seg forms") as switch:
            testid(switch, "log-mode").props('role=group aria-label="Form of the log"')
            for form in (READABLE, RAW):
                name = form.lower()
                # the browser keeps the choice in a cookie (assets/run_log.js)
                with ui.element("button").props(f"type=button data-log-form={name}") as made:
                    ui.html(form, sanitize=clean, tag="span")
                made.on("click", partial(self._choose, form)).mark(f"log-{name}")
                self._forms[form] = made
        self._mark_form()

    def _mark_form(self) -> None:
        for form, made in self._forms.items():
            made.props(f"aria-pressed={'true' if form == self._form else 'false'}")

    async def _choose(self, form: str) -> None:
        """Show the log in another form, from its end."""
        async with self._lock:
            self._take_form(form)
            self._mark_form()
            await self._load_end()
            with self._session.client:
                self._draw_anew()
            await self._search_again()
        await self.catch_up()

    async def _search_again(self) -> None:
        """Repeat the search: the other form has other hits."""
        if not self._find.words:
            return
        try:
            await self._find.count()
            await self._show_hit()
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)

    async def _search_for(self, event: GenericEventArguments) -> None:
        """Handle a search or a step to the next hit from the browser (assets/run_log.js)."""
        words, step = str(event.args["words"])[:MAX_WORDS], int(event.args["step"])
        self._find.want(words)
        async with self._lock:
            if not self._find.is_wanted(words):
                return  # superseded: more was typed during the previous search
            try:
                if step and words == self._find.words:
                    await self._find.step(step)
                else:
                    await self._find.look(words)
                await self._show_hit()
            except (ApiProblem, NoAnswer) as problem:
                self._session.refuse(problem)
        await self.catch_up()

    async def _show_hit(self) -> None:
        """Show the hit's number and scroll to it, reading its part of the log if needed."""
        hit, index = self._find.hit, None
        if not self._find.words and self._log.is_detached:
            # the search was cleared: back to the end
            await self._log.load_end()
            with self._session.client:
                self._draw_anew()
        if hit is not None:
            index = self._log.index_of(hit.offset) if self._is_as_held else None
            if index is None:
                await self._log.load_around(hit.offset)
                index = self._log.index_of(hit.offset)
                with self._session.client:
                    self._draw_anew()
        self._count.set_content(f'<span class="count">{text(self._find.place)}</span>')
        self._steps.set_visibility(self._find.has_hits)
        if index is not None:
            self._shown_hits += 1
            chunk = index // BIG_CHUNK_LINES
            is_open = index == len(self._log.lines)
            element = self._open if is_open else self._chunks[chunk].element
            place = f"{element.html_id} {index % BIG_CHUNK_LINES} {self._shown_hits}"
            self._box.props["data-hit"] = place

    async def _load_earlier(self) -> None:
        async with self._lock:
            try:
                burst = await self._log.load_earlier()
            except (ApiProblem, NoAnswer) as problem:
                self._session.refuse(problem)
                return
            with self._session.client:
                self._add_in_front(list(burst.lines))

    async def _hold(self, event: GenericEventArguments) -> None:
        """Handle the reader's pause, or return to the end (assets/run_log.js)."""
        was_held, self._is_held = self._is_held, bool(event.args)
        if was_held and not self._is_held and self._log.is_left_behind:
            await self._follow_again()

    async def _follow_again(self) -> None:
        async with self._lock:
            # both the button and the browser's `hold` event call this
            if not self._log.is_detached:
                return
            await self._load_end()
            with self._session.client:
                self._draw_anew()
        await self.catch_up()

    def _draw_anew(self) -> None:
        self._box.props["data-form"] = self._form.lower()
        self._lines.clear()
        self._chunks.clear()
        self._add(list(self._log.lines), BIG_CHUNK_LINES)
        self._is_as_held = True

    def _add(self, lines: list[Any], size: int = CHUNK_LINES) -> None:
        self._is_as_held = self._is_as_held and not lines
        for start in range(0, len(lines), size):
            self._add_chunk(lines[start : start + size], size)
        while sum(chunk.lines for chunk in self._chunks) > MAX_LINES:
            self._chunks.popleft().element.delete()
        self._show_edges()

    def _add_in_front(self, lines: list[Any]) -> None:
        self._is_as_held = False
        html, style = self._html(lines, PLAIN)
        with self._lines:
            element = ui.html(html, sanitize=clean)
        element.move(target_index=0)
        self._chunks.appendleft(_Chunk(element, style, html, len(lines)))
        while sum(chunk.lines for chunk in self._chunks) > MAX_LINES:
            self._chunks.pop().element.delete()
        self._show_edges()

    def _add_chunk(self, lines: list[Any], size: int) -> None:
        last = self._chunks[-1] if self._chunks else None
        html, style = self._html(lines, last.end_style if last else PLAIN)
        if last is not None and last.lines + len(lines) <= size:
            last.html, last.end_style = last.html + html, style
            last.lines += len(lines)
            last.element.set_content(last.html)
            return
        with self._lines:
            element = ui.html(html, sanitize=clean)
        self._chunks.append(_Chunk(element, style, html, len(lines)))

    def _show_edges(self) -> None:
        log = self._log
        self._early.set_visibility(log.has_earlier)
        last = log.open_line
        self._empty.set_visibility(not self._chunks and last is None)
        style = self._chunks[-1].end_style if self._chunks else PLAIN
        self._open.set_content(self._html([last], style)[0] if last else "")

    async def _search(self, words: str, cursor: str | None) -> LogHitsOut:
        is_readable = self._form == READABLE
        return await self._session.api.search_log(
            self._run_id, words, readable=is_readable, cursor=cursor, limit=HITS
        )

    async def _read(self, offset: int, limit: int) -> LogPiece:
        return await self._session.api.log(self._run_id, offset=offset, limit=limit)

    async def _read_entries(self, offset: int, limit: int) -> EntriesPiece:
        return await self._session.api.log_entries(self._run_id, offset=offset, limit=limit)
