"""One open page of one person: its API client, its project board and its live events."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlencode

from nicegui import app as nicegui_app
from nicegui import background_tasks, ui
from nicegui.elements.mixins.value_element import ValueElement

from app.api.client.client import ApiClient, ApiProblem, NoAnswer
from app.api.schemas import ProjectOut, SystemOut
from app.pages.components.absent import ABSENT
from app.pages.components.chips import correlation_chip_html
from app.pages.components.markup import clean, plain_html, text
from app.pages.components.testids import testid
from app.state.page.connection import Coalescer, Connection, LatestRequest, StateEvent
from app.state.page.submits import Submits
from app.state.projects.project_board import ProjectBoard
from app.state.runs.run_form import TroubleKind, trouble_of

Answer = TypeVar("Answer")
Drawn = TypeVar("Drawn")


if TYPE_CHECKING:
    from nicegui import Client
    from nicegui.element import Element


BURST_SECONDS = 0.1
_SESSION = re.compile(r"(?:__Host-)?runyard(?:_\d+)?")
# on a machine busy with agents, a late page is better than an error
PATIENCE_SECONDS = 30.0


def dispose_on_delete(client: Client) -> None:
    """Break the reference cycles between a page's elements once NiceGUI deletes the page.

    Otherwise only the garbage collector frees them, and it visits old objects so rarely that
    hundreds of closed pages would stay in memory.
    """

    def cut_soon() -> None:
        # NiceGUI still iterates over them in this turn of the loop and then drops its list
        elements = list(client.elements.values())
        asyncio.get_running_loop().call_soon(_take_apart, client, elements)

    client.on_delete(cut_soon)


def _take_apart(client: Client, elements: list[Element]) -> None:
    for element in elements:
        for watched in (element._classes, element._style, element._props):
            watched._change_handlers.clear()
        element._event_listeners.clear()
        element.slots.clear()
        if isinstance(element, ValueElement):
            element._change_handlers.clear()
    for handlers in (client.connect_handlers, client.disconnect_handlers, client.delete_handlers):
        handlers.clear()


class PageSession:
    """One open page and its link to the server.

    `api` is the person's client, `board` holds every project and is kept up to date, `system` is
    the server's state as last fetched, `path` is the page's address. With `run_id` the page
    receives no events of other runs.
    """

    def __init__(self, client: Client, api: ApiClient, run_id: str | None = None) -> None:
        self.client = client
        self.api = api
        self.board = ProjectBoard()
        self.system: SystemOut
        self.path = client.request.url.path
        self._offset = timedelta()
        self._handlers: dict[str, list[Callable[[Any], Any]]] = defaultdict(list)
        self._run_id = run_id
        self.knows_projects = True
        self._arrivals: list[Callable[[], Any]] = []
        self._returns: list[Callable[[], Any]] = []
        self._lookers: list[LatestRequest[Any]] = []
        self._burst = Coalescer()
        self._is_drawn = self._is_planned = False
        self._was_connected = False
        self._flushed_at = 0.0
        self._on_drawn: Callable[[], None] = lambda: None
        self._note: ui.element | None = None
        self._aside: ui.html | None = None

    @classmethod
    async def open(
        cls, connection: Connection, run_id: str | None = None, *, lacks_projects: bool = False
    ) -> PageSession:
        """Open the session of a page: subscribe first, then fetch, so that no event is missed.

        With `lacks_projects` a page is shown without projects while no database tells them, and
        takes them once one does; `knows_projects` is False until then.
        """
        client = ui.context.client
        session = cls(client, connection.client_for(client.request), run_id)
        session._on_drawn = partial(connection.waiting.add, client)
        session.on_close(connection.subscribe(client.request, session._on_event))
        session.on_close(connection.begin_visit(client.request))
        client.on_connect(session._come_back)
        session.on_close(session._end)
        dispose_on_delete(client)
        await session._ask(lacks_projects=lacks_projects)
        session.on("project.changed", session._follow)
        session.on("feed.broke", lambda _: session._refresh())
        return session

    def _end(self) -> None:
        self.board.detach()
        for heard in (self._handlers, self._arrivals, self._returns):
            heard.clear()
        for latest in self._lookers:
            latest.end()
        self._lookers.clear()
        self._note = self._aside = None
        self._on_drawn = lambda: None

    async def _ask(self, *, lacks_projects: bool = False) -> None:
        projects, system = await asyncio.gather(
            self._projects(lacks_projects=lacks_projects), self.api.system()
        )
        self.note_system(system)
        self.knows_projects = projects is not None
        if projects is not None and not self.client.is_deleted:
            self.board.replace(projects)

    async def _projects(self, *, lacks_projects: bool) -> list[ProjectOut] | None:
        try:
            return await self.api.projects()
        except ApiProblem as problem:
            if lacks_projects and problem.code == "store_unavailable":
                return None
            raise

    def note_system(self, system: SystemOut) -> None:
        """Keep what the server said of itself, and its time."""
        self.system = system
        # the page's first paint needs them (app/server/patches/page_template.py)
        self.client.request.state.preferences = system.preferences
        self._offset = system.now - datetime.now(UTC)

    def may(self, deed: str, project_id: str | None = None) -> bool:
        """Return True if this person may do a deed in a project, or in the organisation."""
        system = self.system
        return deed in (system.may_in.get(project_id or "") or system.may)

    def may_somewhere(self, deed: str) -> bool:
        """Return True if this person may do a deed in the organisation or in a project of it."""
        return self.may(deed) or any(deed in its for its in self.system.may_in.values())

    def offer(self, deed: str, project_id: str | None, draw: Callable[[], Drawn]) -> Drawn:
        """Draw a control if this person may do its deed, else return `ABSENT`."""
        return draw() if self.may(deed, project_id) else cast(Drawn, ABSENT)

    def offer_somewhere(self, deed: str, draw: Callable[[], Drawn]) -> Drawn:
        """Draw a control that serves all projects if this person may do its deed in one."""
        return draw() if self.may_somewhere(deed) else cast(Drawn, ABSENT)

    @property
    def time_zone(self) -> str | None:
        """The time zone that the person chose for all browsers; None: the browser's."""
        chosen = self.system.preferences
        return chosen.time_zone if chosen else None

    def now(self) -> datetime:
        """Return the current time on the server's clock."""
        return datetime.now(UTC) + self._offset

    def on(self, kind: str, handler: Callable[[Any], Any]) -> None:
        """Call `handler(data)` for each live event of a kind, in this page's context.

        Events that arrive while the page is being drawn are delivered right after its frame closes:
        register before the first await that follows the frame.
        """
        self._handlers[kind].append(handler)

    def on_arrival(self, handler: Callable[[], Any]) -> None:
        """Call `handler()` once the browser has loaded the page and connected."""
        self._arrivals.append(handler)

    def on_close(self, handler: Callable[[], object]) -> None:
        """Call `handler()` when the page is closed for good."""
        self.client.on_delete(handler)

    def on_return(self, handler: Callable[[], Any]) -> None:
        """Call `handler()` after a lost link or feed is restored, to take a fresh snapshot."""
        self._returns.append(handler)

    def looker(
        self, ask: Callable[[], Awaitable[Answer]], show: Callable[[Answer], None]
    ) -> Callable[[], Awaitable[None]]:
        """Return a function that asks the API and shows the answer, or the refusal.

        It sends one request at a time, shows the newest answer last, and draws nothing on a closed
        page.
        """
        latest = LatestRequest(ask, lambda answer: None if self.client.is_deleted else show(answer))
        self._lookers.append(latest)

        async def look() -> None:
            try:
                await latest.request()
            except (ApiProblem, NoAnswer) as problem:
                self.refuse(problem)

        return look

    def notify(
        self,
        words: str,
        *,
        go: tuple[str, str] | None = None,
        undo: tuple[str, Callable[[], Any]] | None = None,
    ) -> None:
        """Show a message for 8 s and have it read aloud politely.

        It has one way back: `go`, a link (its words and a path on this server), or `undo`, a
        button (its words and what a press calls; key z).
        """
        link = f'<a href="{text(go[1])}" data-testid="toast-action">{text(go[0])}</a>' if go else ""
        self._show(f"<span>{text(words)}</span>{link}", undo=undo)

    def announce(self, words: str) -> None:
        """Have screen readers read text that the page already shows."""
        if self._aside is not None and not self.client.is_deleted:
            self._aside.set_content(text(words))

    def refuse(self, problem: ApiProblem | NoAnswer) -> None:
        """Show why an action failed, with the correlation id that finds it in the log."""
        words = str(problem)
        if isinstance(problem, ApiProblem):
            is_limit = problem.code == TroubleKind.RATE_LIMITED
            words = trouble_of(problem, self.now()).sentence if is_limit else problem.detail
        chip = correlation_chip_html(problem.correlation_id)
        link = _link_of(problem) if isinstance(problem, ApiProblem) else ""
        self._show(f"<span>{plain_html(words)}</span>{link}{chip}", kind="bad")

    def go(self, path: str) -> None:
        """Open another page of this server in this tab."""
        with self.client:
            ui.navigate.to(path)

    def draw_region(self) -> None:
        """Draw the page's only live region; called by the frame."""
        with ui.element("div").classes("say") as region:
            region.props("role=status aria-live=polite aria-atomic=false")
            self._note = ui.element("div")
            self._aside = ui.html("", sanitize=clean).classes("sr").props("data-aside")

    def start_notifying(self) -> None:
        """Deliver the events received while the page was being drawn; called by the frame."""
        self._is_drawn = True
        self._on_drawn()
        self._plan()

    def _show(
        self, html: str, *, kind: str = "", undo: tuple[str, Callable[[], Any]] | None = None
    ) -> None:
        if self._note is None or self.client.is_deleted:
            return
        self._note.clear()  # the same words twice are two messages
        with (
            self._note,
            testid(ui.element("div").classes(f"note {kind}".strip()), "toast") as toast,
        ):
            ui.html(html, sanitize=clean).classes("said")
            if undo is None:
                return
            words, act = undo

            def press() -> Any:
                toast.delete()
                return act()

            with testid(ui.element("button").props("type=button data-key=z"), "toast-action") as b:
                ui.html(text(words), sanitize=clean, tag="span")
                ui.html("z", sanitize=clean, tag="kbd").props("aria-hidden=true")
            b.on("click", press)

    def _follow(self, project: ProjectOut) -> None:
        self.board.apply(project)

    def _on_event(self, event: StateEvent) -> None:
        if self._is_drawn and event.kind not in self._handlers:
            return
        if self._run_id is not None and event.run_id not in (None, self._run_id):
            return
        self._burst.add(event.kind, event.data)
        self._plan()

    def _plan(self) -> None:
        if not self._is_drawn or self._is_planned or not self._burst:
            return
        loop = asyncio.get_running_loop()
        self._is_planned = True
        loop.call_at(max(loop.time(), self._flushed_at + BURST_SECONDS), self._flush)

    def _flush(self) -> None:
        self._is_planned = False
        self._flushed_at = asyncio.get_running_loop().time()
        for kind, data in self._burst.take():
            for handler in self._handlers.get(kind, ()):
                self._run(handler, data)

    def start(self, work: Awaitable[Any]) -> None:
        """Do some work for the page without waiting for it."""
        background_tasks.create(work, context=self.client)

    def _run(self, handler: Callable[..., Any], *args: Any) -> None:
        if self.client.is_deleted:
            return
        try:
            with self.client:
                result = handler(*args)
                if asyncio.iscoroutine(result):
                    self.start(result)
        except Exception as error:
            # an error in one page must not keep the event from the others
            nicegui_app.handle_exception(error)

    async def _come_back(self) -> None:
        was_connected, self._was_connected = self._was_connected, True
        if not was_connected:
            for handler in self._arrivals:
                self._run(handler)
            return
        await self._refresh()

    async def _refresh(self) -> None:
        try:
            await self._ask()
        except (ApiProblem, NoAnswer) as problem:
            self.refuse(problem)
            return
        for handler in self._returns:
            self._run(handler)


def _link_of(problem: ApiProblem) -> str:
    """Return a link to the run or change that caused the refusal, or an empty string."""
    if path := problem.change_path:
        return f'<a href="{text(path)}">Open the change</a>'
    run_id = problem.members.get("holder") or problem.members.get("run_id")
    return f'<a href="/runs/{text(str(run_id))}">Open that run</a>' if run_id else ""


def open_submits() -> Submits:
    """Return this server's submits, created on first use."""
    kept = nicegui_app.state
    if not hasattr(kept, "submits"):
        kept.submits = Submits()
    return kept.submits


def owner_of(session: PageSession) -> str:
    """Return a hash of person and session cookies, the same for all tabs of a browser."""
    cookies = session.client.request.cookies
    sign_ins = [value for name, value in sorted(cookies.items()) if _SESSION.fullmatch(name)]
    return sha256("\n".join([session.system.person, *sign_ins]).encode()).hexdigest()


def page_at(path: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as the page at a path, with `PATIENCE_SECONDS` to draw it."""
    return ui.page(path, dark=None, response_timeout=PATIENCE_SECONDS)


def runs_path(project_id: str, **filters: str) -> str:
    """Return the address of a project's runs; `filters` as in `/runs` (`branch`, `issue`)."""
    return f"/runs?{urlencode({'project': project_id, **filters})}"
