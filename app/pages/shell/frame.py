"""The frame of every page: rail, header with its slots, content."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from nicegui import ui

from app.api.client.client import ApiClient, ApiProblem
from app.api.schemas import AlertOut, ProjectOut, SystemOut
from app.api.schemas.inbox import InboxCounts
from app.domain.formatting import iso
from app.pages.components.banners import draw_stores_banner
from app.pages.components.chips import LiveBadge, correlation_chip, env_provenance_html
from app.pages.components.markup import clean, plain, plain_html, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession
from app.state.page.connection import Connection

Found = TypeVar("Found")


LOGO = '<span class="logo" aria-hidden="true"><i></i><i></i><i></i><i></i></span>'
HEAD = (
    '<link rel="preload" as="font" type="font/woff2" crossorigin'
    ' href="/assets/fonts/inter-latin-wght-normal.woff2?v=5.3.0">'
    '<link rel="icon" type="image/svg+xml" href="/assets/icon.svg">'
    '<script src="/assets/clock.js" defer></script>'
)
NO_SCRIPT = (
    '<noscript><div class="main"><div class="card"><p>This page needs JavaScript. <a href="/plain">'
    "The plain page</a> works without: it shows every project, and starts, stops and resets.</p>"
    "</div></div></noscript>"
)
ALERTS = {
    "notifications": "Notifications do not get through",
    "agent": "An agent is not ready",
    "disk": "Low disk space",
}
ALERTS_SHOWN = 5
LOOKS = (("auto", "Auto"), ("light", "Light"), ("dark", "Dark"))


@dataclass
class Page:
    """The slots a page fills: `beside` the title, `actions` on the right, `body` below."""

    heading: ui.html
    beside: ui.element
    actions: ui.element
    body: ui.element
    badge: LiveBadge

    def set_title(self, title: str) -> None:
        """Change the title in the header and of the browser tab."""
        if self.heading.content == text(title):
            return
        self.heading.set_content(text(title))
        ui.page_title(f"{title} · Runyard")


@contextmanager
def frame(
    session: PageSession,
    *,
    title: str,
    active: str,
    crumbs: Sequence[tuple[str, str]] = (),
    is_home: bool = False,
) -> Generator[Page]:
    """Draw rail and header; the content goes inside the `with`.

    `active` names the rail's entry (inbox, projects, issues, runs, parked, settings), `crumbs`
    are (words, path); `is_home` hides the title on a phone, where the brand stands instead.
    """
    _dress(session, title)
    _make_room_for_main(session)
    with ui.element("div").classes("shell"):
        rail = _rail(session, active)
        with ui.element("main").classes("main") as main:
            page = _header(title, crumbs, rail, is_home=is_home)
            page.body = main
            session.draw_region()
            draw_stores_banner(session)
            yield page
    session.start_notifying()


def refused(session: PageSession, problem: ApiProblem, *, active: str) -> None:
    """Draw a full page for a refusal: the sentence, the correlation id, a link back."""
    session.client.status_code = problem.status
    with frame(session, title="Not here", active=active):
        with ui.element("div").classes("banner stop"):
            ui.label(plain(problem.detail))
            correlation_chip(problem.correlation_id)
        ui.link("Back to the projects", "/projects").classes("btn")


def _make_room_for_main(session: PageSession) -> None:
    # Quasar's page element is a <main> that would contain the rail; ours holds only the content
    page = session.client.content.parent_slot
    if page is not None:
        page.parent.tag = "div"
        page.parent.classes("q-page")


def _dress(session: PageSession, title: str) -> None:
    ui.page_title(f"{title} · Runyard")
    ui.add_head_html(HEAD)
    ui.add_body_html(NO_SCRIPT)


def _rail(session: PageSession, active: str) -> ui.element:
    with ui.element("nav").classes("rail").props('popover=auto aria-label="Main"') as rail:
        _brand()
        inbox = _entry("Inbox", "/", active == "inbox")
        projects = _entry("Projects", "/projects", active == "projects")
        issues = _entry("Issues", "/issues", active == "issues")
        runs = _entry("Runs", "/runs", active == "runs")
        parked = _entry("Parked", "/parked", active == "parked")
        _entry("Settings", "/settings", active == "settings")
        _draw_alerts(session)
        ui.element("span").classes("sp")
        ui.html(
            f'<div class="look" role="group" aria-label="Look">{_look_buttons(session)}</div>'
            f'<span hidden data-now="{iso(session.now())}"></span>'
            f"{env_provenance_html(session.system.provenance)}",
            sanitize=clean,
        )

    def count(_: set[str]) -> None:
        board = session.board
        live, ready, kept = board.live_runs, board.ready_count, board.parked_count
        for label, words in (
            (projects, str(len(board.listing()))),
            (runs, f"{live} live" if live else ""),
            (issues, f"{ready} ready" if ready else ""),
            (parked, str(kept) if kept else ""),
        ):
            if label.text != words:
                label.set_text(words)

    count(set())
    session.board.on_change(count)
    _count_inbox(session, inbox)
    return rail


def _count_inbox(session: PageSession, label: ui.label) -> None:
    """Show how many items need a person, or else how many are to review."""

    def show(counts: InboxCounts | None) -> None:
        if counts is None:
            return  # the database does not answer: the last known count stays
        label.set_text(str(counts.attention or counts.review or ""))
        label.classes(replace="count alarm" if counts.attention else "count")

    show(session.system.inbox)
    session.on("inbox.changed", lambda data: show(InboxCounts.model_validate(data["counts"])))
    session.on_return(lambda: show(session.system.inbox))


def _draw_alerts(session: PageSession) -> None:
    place = ui.html("", sanitize=clean)

    def show(system: SystemOut) -> None:
        place.set_content(alerts_html(system.alerts))
        place.set_visibility(bool(system.alerts))

    look = session.looker(session.api.system, show)
    show(session.system)
    session.on("doctor.changed", lambda _: look())
    session.on_return(lambda: show(session.system))


def alerts_html(alerts: Sequence[AlertOut]) -> str:
    """Return the rail's warnings, each linked to the settings page."""
    rows = "".join(
        f'<li><a href="/settings" data-part="{text(one.part)}" title="{plain_html(one.what)}">'
        f"{text(ALERTS.get(one.part, one.part))}</a></li>"
        for one in alerts[:ALERTS_SHOWN]
    )
    return f'<ul class="alerts" aria-label="Warnings" data-testid="rail-alerts">{rows}</ul>'


def _look_buttons(session: PageSession) -> str:
    pinned = session.client.request.cookies.get("runyard_look", "auto")
    return "".join(
        f'<button type="button" data-look="{look}"'
        f' aria-pressed="{str(look == pinned).lower()}">{word}</button>'
        for look, word in LOOKS
    )


def _brand() -> None:
    with ui.link(target="/").classes("brand").props('aria-label="Runyard, to the inbox"'):
        ui.html(f"{LOGO}", sanitize=clean, tag="span")
        ui.html("Runyard", sanitize=clean, tag="span")


def _entry(words: str, path: str, is_active: bool) -> ui.label:
    with testid(ui.link(target=path).classes("to"), f"nav-{words.lower()}") as link:
        ui.html(words, sanitize=clean, tag="span")
        count = ui.label("").classes("count")
    if is_active:
        link.props("aria-current=page")
    return count


def _header(
    title: str, crumbs: Sequence[tuple[str, str]], rail: ui.element, *, is_home: bool
) -> Page:
    with ui.element("header").classes("head home" if is_home else "head"):
        _brand()
        with ui.element("div").classes("title"):
            if crumbs:
                trail = "".join(f'<a href="{text(path)}">{text(w)}</a> /' for w, path in crumbs)
                ui.html(trail, sanitize=clean, tag="span").classes("crumbs")
            heading = ui.html(text(title), sanitize=clean, tag="h1")
            beside = ui.element("span").classes("line")
        ui.element("span").classes("sp")
        badge = LiveBadge()
        actions = ui.element("div").classes("acts")
        menu = ui.element("button").classes("btn ico open-rail")
        menu.props(f'type=button popovertarget={rail.html_id} aria-label="Menu"')
        with menu:
            ui.html("☰", sanitize=clean, tag="span")
    return Page(heading, beside, actions, actions, badge)


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
