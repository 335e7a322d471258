"""The frame of every page: rail, header with its slots, content."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from nicegui import ui

from app.api.client.client import ApiClient, ApiProblem
from app.api.schemas import ProjectOut
from app.api.schemas.inbox import InboxCounts
from app.domain.people.deeds import need_of
from app.pages.components.banners import draw_stores_banner
from app.pages.components.chips import LiveBadge, connection_html, correlation_chip
from app.pages.components.icons import icon
from app.pages.components.markup import clean, plain, text
from app.pages.shell.page_session import PageSession
from app.pages.shell.palette import Palette
from app.pages.shell.rail import draw_rail
from app.state.page.connection import Connection

Found = TypeVar("Found")


HEAD = (
    '<link rel="preload" as="font" type="font/woff2" crossorigin'
    ' href="/assets/fonts/inter-latin-wght-normal.woff2?v=5.3.0">'
    '<link rel="icon" type="image/svg+xml" href="/assets/icon.svg">'
    '<script src="/assets/shell.js" defer></script>'
)
# only where browsers can install the pages
INSTALL = (
    '<link rel="manifest" href="/manifest.webmanifest">'
    '<link rel="apple-touch-icon" href="/assets/apple-touch-icon.png">'
    '<meta name="theme-color" media="(prefers-color-scheme: light)" content="#f6f6f3">'
    '<meta name="theme-color" media="(prefers-color-scheme: dark)" content="#101113">'
    '<script src="/assets/install.js" defer></script>'
)
NO_SCRIPT = (
    '<noscript><div class="main"><div class="card"><p>This page needs JavaScript. <a href="/plain">'
    "The plain page</a> works without: it shows every project, and starts, stops and resets.</p>"
    "</div></div></noscript>"
)


class TabTitle:
    """The title of the browser tab: `(3) Inbox · Runyard` while three things need a person."""

    def __init__(self, session: PageSession, title: str) -> None:
        self._title, self._waiting = title, 0
        self._client = session.client
        self._mark = ui.element("span").props("hidden data-waiting=0")
        counts = session.system.inbox
        self._count(counts)
        session.on("inbox.changed", lambda data: self._count(InboxCounts(**data["counts"])))
        session.on_return(lambda: self._count(session.system.inbox))

    def name(self, title: str) -> None:
        """Change the part that names the page."""
        self._title = title
        self._show()

    def _count(self, counts: InboxCounts | None) -> None:
        if counts is not None:  # otherwise the last known count stays
            self._waiting = counts.attention
        # assets/keys.js puts a dot on the tab's icon
        self._mark.props(f"data-waiting={self._waiting}")
        self._show()

    def _show(self) -> None:
        number = f"({self._waiting}) " if self._waiting else ""
        with self._client:
            ui.page_title(f"{number}{self._title} · Runyard")


@dataclass
class Page:
    """The slots a page fills: `beside` the title, `actions` on the right, `body` below."""

    heading: ui.html
    beside: ui.element
    actions: ui.element
    body: ui.element
    badge: LiveBadge
    tab: TabTitle

    def set_title(self, title: str) -> None:
        """Change the title in the header and of the browser tab."""
        if self.heading.content == text(title):
            return
        self.heading.set_content(text(title))
        self.tab.name(title)


@contextmanager
def frame(
    session: PageSession,
    *,
    title: str,
    active: str,
    crumbs: Sequence[tuple[str, str]] = (),
    fills: bool = False,
) -> Generator[Page]:
    """Draw rail and page bar; the content goes inside the `with`.

    `active` names the rail's entry (inbox, projects, issues, runs, settings), `crumbs` are
    (words, path). A page that `fills` has no gutter and is as high as the window: its panes
    scroll, not the page.
    """
    ui.add_head_html(HEAD)
    if session.system.installable:
        ui.add_head_html(INSTALL)
    ui.add_body_html(NO_SCRIPT)
    _make_room_for_main(session)
    with ui.element("div").classes("shell"):
        badge = draw_rail(session, active)
        with ui.element("main").classes("main fills" if fills else "main"):
            tab = TabTitle(session, title)
            heading, beside, actions = _draw_bar(title, crumbs)
            session.draw_region()
            draw_stores_banner(session)
            with ui.element("div").classes("page") as body:
                yield Page(heading, beside, actions, body, badge, tab)
        Palette(session)
    session.start_notifying()


def refused(session: PageSession, problem: ApiProblem, *, active: str) -> None:
    """Draw a full page for a refusal: the sentence, the correlation id, a link back."""
    session.client.status_code = problem.status
    with frame(session, title="Not here", active=active):
        with ui.element("div").classes("banner stop"):
            ui.label(plain(problem.detail))
            correlation_chip(problem.correlation_id)
        ui.link("Back to the projects", "/projects").classes("btn")


def forbidden(
    session: PageSession, deed: str, project_id: str | None = None, *, active: str
) -> bool:
    """Draw a full page for a person who may not do a deed; return False for one who may."""
    if session.may(deed, project_id):
        return False
    session.client.status_code = 403
    with frame(session, title="Not here", active=active):
        words = f"This needs the role {need_of(deed).role}. An admin can give it to you."
        ui.html(words, sanitize=clean).classes("banner wait")
        ui.link("Back to the projects", "/projects").classes("btn")
    return True


def _make_room_for_main(session: PageSession) -> None:
    # Quasar's page element is a <main> that would contain the rail; ours holds only the content
    page = session.client.content.parent_slot
    if page is not None:
        page.parent.tag = "div"
        page.parent.classes("q-page")


def _draw_bar(
    title: str, crumbs: Sequence[tuple[str, str]]
) -> tuple[ui.html, ui.element, ui.element]:
    """Draw the page bar; return the title, the place beside it and that of the actions."""
    with ui.element("header").classes("head"):
        if crumbs:
            with ui.link(target=crumbs[-1][1]).classes("back") as back:
                ui.html(icon("arrow-left", kind="l"), sanitize=clean, tag="span")
            back.props["aria-label"] = f"Back to {crumbs[-1][0]}"
        with ui.element("div").classes("title"):
            if crumbs:
                ui.html(_trail_html(crumbs), sanitize=clean, tag="span").classes("crumbs")
            heading = ui.html(text(title), sanitize=clean, tag="h1")
            beside = ui.element("span").classes("line")
        ui.element("span").classes("sp")
        # where the rail's foot is not seen: only while the connection is lost
        ui.html(connection_html(), sanitize=clean, tag="span").classes("lost")
        actions = ui.element("div").classes("acts")
    return heading, beside, actions


def _trail_html(crumbs: Sequence[tuple[str, str]]) -> str:
    step = icon("chevron-right", kind="s")
    return "".join(f'<a href="{text(path)}">{text(words)}</a>{step}' for words, path in crumbs)


async def enter(
    connection: Connection, find: Callable[[ApiClient], Awaitable[Found]]
) -> tuple[PageSession, Found] | None:
    """Open the session and fetch its subject; on a refusal draw the error page and return None."""
    session = await PageSession.open(connection)
    try:
        return session, await find(session.api)
    except ApiProblem as problem:
        refused(session, problem, active="projects")
        return None


async def enter_project(
    connection: Connection, project_id: str
) -> tuple[PageSession, ProjectOut] | None:
    """Open the session of one project, as `enter` does."""
    return await enter(connection, lambda api: api.project(project_id))
