"""The rail: entries with counts, the runs under way, and the foot; on a phone the bottom bar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import AlertOut, ProjectOut, SystemOut
from app.api.schemas.inbox import InboxCounts
from app.api.schemas.projects import LastRun
from app.domain.formatting import iso
from app.pages.components.chips import LiveBadge, env_line_html
from app.pages.components.countdown import since_html
from app.pages.components.icons import icon, mark
from app.pages.components.markup import clean, plain, plain_html, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession

LOGO = '<span class="logo" aria-hidden="true"><i></i><i></i><i></i><i></i></span>'
ALERTS = {
    "notifications": "Notifications do not get through",
    "agent": "An agent is not ready",
    "sandbox": "A sandbox is missing",
    "disk": "Low disk space",
    "forge": "A forge refused its token",
}
ALERTS_SHOWN = 5
RUNS_SHOWN = 6
LOOK_CHOSEN = "(e) => { const b = e.target.closest('[data-look]'); if (b) emit(b.dataset.look); }"
LOOKS = (("auto", "Auto", "monitor"), ("light", "Light", "sun"), ("dark", "Dark", "moon"))
# words, path, icon of the entries that a phone shows in its bottom bar
ENTRIES = (
    ("Inbox", "/", "inbox"),
    ("Projects", "/projects", "folder-git-2"),
    ("Issues", "/issues", "circle-dot"),
    ("Runs", "/runs", "play"),
)
RUNNING = mark("running")


def draw_rail(session: PageSession, active: str) -> LiveBadge:
    """Draw the rail; `active` is the entry of the current page. Return its connection badge."""
    with ui.element("nav").classes("rail").props('aria-label="Main"'):
        _draw_brand()
        _draw_search()
        counts = {words: _entry(words, path, picture, active) for words, path, picture in ENTRIES}
        with ui.element("div").classes("rail-more").props("popover=auto") as rest:
            _draw_approvals(session, active)
            _entry("Settings", "/settings", "settings", active)
            _draw_account(session, active)
            _draw_alerts(session)
            RunningNow(session)
            ui.element("span").classes("sp")
            badge = _draw_foot(session)
        more = ui.element("button").classes("to more")
        more.props(f"type=button popovertarget={rest.html_id}")
        with more:
            ui.html(f"{icon('menu')}<span>More</span>", sanitize=clean, tag="span")
    _count_projects(session, counts)
    _count_inbox(session, counts["Inbox"])
    _count_unread(session, counts["Inbox"])
    return badge


def _draw_brand() -> None:
    with ui.link(target="/").classes("brand").props('aria-label="Runyard, to the inbox"'):
        ui.html(f"{LOGO}<span>Runyard</span>", sanitize=clean, tag="span")


def _draw_search() -> None:
    with ui.element("button").classes("find") as search:
        search.props("type=button data-opens=palette")
        words = f"{icon('search')}<span>Search</span>"
        ui.html(words, sanitize=clean, tag="span")
        ui.html("Ctrl K", sanitize=clean, tag="kbd").props("aria-hidden=true")


def _entry(words: str, path: str, picture: str, active: str) -> ui.html:
    """Draw an entry; return the place of its count."""
    with testid(ui.link(target=path).classes("to"), f"nav-{words.lower()}") as link:
        ui.html(f"{icon(picture)}<span>{words}</span>", sanitize=clean, tag="span")
        count = ui.html("", sanitize=clean, tag="span").classes("count")
    if words.lower() == active:
        link.props("aria-current=page")
    link.props["title"] = words
    return count


def _draw_approvals(session: PageSession, active: str) -> None:
    """Draw the entry of approvals, shown while a project asks for some."""
    with ui.element("div") as place:
        _entry("Approvals", "/approvals", "shield-check", active)

    def show(_: set[str]) -> None:
        projects = session.board.listing()
        asks = any(one.approve_start or one.approve_merge for one in projects)
        place.set_visibility(asks or active == "approvals")

    show(set())
    session.board.on_change(show)


def _draw_account(session: PageSession, active: str) -> None:
    """Draw the entry of the person's own page, with their name."""
    with testid(ui.link(target="/me").classes("to"), "nav-me") as link:
        name = plain_html(session.system.person)
        html = f'{icon("user")}<span class="clip">{name}</span>'
        ui.html(html, sanitize=clean, tag="span")
    if active == "me":
        link.props("aria-current=page")
    link.props["title"] = f"Your account: {plain(session.system.person)}"


def _number_html(number: int | None, noun: str, kind: str = "") -> str:
    """Return a count with the noun that only screen readers need; empty for none."""
    return f'<b class="{kind}">{number}<span class="sr"> {noun}</span></b>' if number else ""


def _count_projects(session: PageSession, places: dict[str, ui.html]) -> None:
    def count(_: set[str]) -> None:
        board = session.board
        for words, number, noun in (
            ("Projects", len(board.listing()), "projects"),
            ("Issues", board.ready_count, "ready"),
            ("Runs", board.live_runs, "live"),
        ):
            html = _number_html(number, noun)
            if places[words].content != html:
                places[words].set_content(html)

    count(set())
    session.board.on_change(count)


def _count_inbox(session: PageSession, place: ui.html) -> None:
    """Show how many items need a person, and beside it how many are to review."""

    def show(counts: InboxCounts | None) -> None:
        if counts is None:
            return  # the database does not answer: the last known counts stay
        alarm = _number_html(counts.attention, "need attention", "alarm")
        place.set_content(f"{alarm} {_number_html(counts.review, 'to review')}".strip())

    show(session.system.inbox)
    session.on("inbox.changed", lambda data: show(InboxCounts.model_validate(data["counts"])))
    session.on_return(lambda: show(session.system.inbox))


def _count_unread(session: PageSession, count: ui.html) -> None:
    """Show a dot at the inbox's icon while this person has unread items there."""
    entry = count.parent_slot
    if entry is None:
        return
    with entry.parent:
        dot = testid(ui.html("", sanitize=clean, tag="span").classes("new"), "unread-dot")

    def show(unread: int | None) -> None:
        if unread is None:
            return  # the database does not answer: the last known count stays
        dot.set_content(f'<span class="sr">, {unread} unread</span>' if unread else "")
        dot.set_visibility(bool(unread))

    look = session.looker(session.api.unread, lambda answer: show(answer.unread))
    known = session.system.inbox_mark

    async def follow(data: dict[str, Any]) -> None:
        nonlocal known
        # with the same items nothing came or went: this is every page, and each would ask
        if data["mark"] != known:
            known = data["mark"]
            await look()

    mine = session.system.person_id
    show(session.system.unread or 0)
    session.on("inbox.items", follow)
    session.on("inbox.read", lambda data: look() if data["person_id"] == mine else None)
    session.on_return(lambda: show(session.system.unread))


class RunningNow:
    """The live runs, the longest first, each with its clock; rows are updated in place."""

    def __init__(self, session: PageSession) -> None:
        self._session = session
        self._rows: dict[str, ui.link] = {}
        with ui.element("div").classes("running") as self._box:
            ui.html("Running now", sanitize=clean).classes("sec")
            self._list = ui.element("div")
            self._rest = ui.link("", "/runs").classes("to")
        self._show(set())
        session.board.on_change(self._show)

    def _show(self, _: set[str]) -> None:
        running = self._session.board.running()
        shown = {run.id: (project, run) for project, run in running[:RUNS_SHOWN]}
        for run_id in self._rows.keys() - shown.keys():
            self._rows.pop(run_id).delete()
        for run_id, (project, run) in shown.items():
            if run_id not in self._rows:
                with self._list:
                    self._rows[run_id] = self._draw(project, run)
        more = self._session.board.live_runs - len(shown)
        words = f"{more} more" if more > 0 else ""
        if self._rest.text != words:
            self._rest.set_text(words)
        self._rest.set_visibility(more > 0)
        self._box.set_visibility(bool(shown) or more > 0)

    def _draw(self, project: ProjectOut, run: LastRun) -> ui.link:
        words = f"{plain(project.name)} #{run.issue}" if run.issue else plain(project.name)
        since = since_html(run.started_at or run.created_at, self._session.now())
        with ui.link(target=f"/runs/{run.id}").classes("to") as link:
            name = f'{RUNNING}<span class="clip">{text(words)}</span>'
            ui.html(name, sanitize=clean, tag="span")
            ui.html(since, sanitize=clean, tag="span").classes("count")
        link.props["title"] = words
        return link


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
        f"{icon('triangle-alert')}<span>{text(ALERTS.get(one.part, one.part))}</span></a></li>"
        for one in alerts[:ALERTS_SHOWN]
    )
    return f'<ul class="alerts" aria-label="Warnings" data-testid="rail-alerts">{rows}</ul>'


def _draw_foot(session: PageSession) -> LiveBadge:
    """Draw the last line: connection, environment, and a menu with look and shortcuts."""
    with ui.element("div").classes("rail-foot"):
        badge = LiveBadge()
        ui.html(env_line_html(session.system.provenance), sanitize=clean).classes("where")
        menu = ui.element("div").classes("foot-menu").props("popover=auto")
        opens = ui.element("button").classes("btn ico small bare")
        opens.props(f'type=button popovertarget={menu.html_id} aria-label="Look and shortcuts"')
        with opens:
            ui.html(icon("ellipsis"), sanitize=clean, tag="span")
        with menu:
            foot = ui.html(
                f'<div class="look" role="group" aria-label="Look">{_looks_html(session)}</div>'
                f'<button type="button" class="item" data-shortcuts>{icon("keyboard")}'
                " Keyboard shortcuts</button>"
                f'<span hidden data-now="{iso(session.now())}"></span>',
                sanitize=clean,
            )
            _keep_look(session, foot)
    return badge


def _keep_look(session: PageSession, foot: ui.html) -> None:
    """Keep the look that a person with an account chooses, for the other browsers."""
    if session.system.preferences is None:
        return

    async def keep(event: Any) -> None:
        try:
            await session.api.change_person("me", look=str(event.args))
        except (ApiProblem, NoAnswer) as problem:
            session.refuse(problem)

    testid(foot, "look").on("click", keep, js_handler=LOOK_CHOSEN)


def _looks_html(session: PageSession) -> str:
    chosen = session.system.preferences
    kept = session.client.request.cookies.get("runyard_look", "auto")
    pinned = (chosen and chosen.look) or kept
    return "".join(
        f'<button type="button" data-look="{look}" aria-pressed="{str(look == pinned).lower()}">'
        f"{icon(picture)} {word}</button>"
        for look, word, picture in LOOKS
    )
