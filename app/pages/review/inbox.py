"""Inbox (`/`): what waits for a person over all projects, and the line `Since …`."""

from __future__ import annotations

import asyncio
from functools import partial

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas.inbox import InboxItem, ReportOfRuns
from app.domain.review.inbox import Group, ItemKind
from app.domain.text.durations import rough_words
from app.pages.components.buttons import ConfirmButton, button, link_button
from app.pages.components.countdown import ago_html, at_html, until_html
from app.pages.components.markup import clean, plain, plain_html, text
from app.pages.components.testids import testid
from app.pages.projects.projects import ProjectsScreen
from app.pages.shell.frame import frame
from app.pages.shell.page_session import PageSession, page_at
from app.pages.shell.theme import dress_form, dress_inbox
from app.state.page.connection import Connection
from app.state.review.inbox_board import InboxBoard, action_of, cost_words, report_words

# with more projects, their cards are on their own page only
CARDS_BELOW = 6
TONES = {Group.ATTENTION: "stop", Group.REVIEW: "go", Group.PARKED: "idle"}
# these are asked for a second press: they change a repository
CONFIRMED = {ItemKind.CHANGE: "Merge it?"}


def register(connection: Connection) -> None:
    """Define `/`."""

    @page_at("/")
    async def inbox_page() -> None:
        session = await PageSession.open(connection)
        api = session.api
        items, report, quota = await asyncio.gather(api.inbox(), api.report_since(), api.quota())
        dress_form()
        dress_inbox()
        with frame(session, title="Inbox", active="inbox") as page:
            InboxScreen(session, items, report)
            ProjectsScreen(session, page, quota, most=CARDS_BELOW)


class InboxScreen:
    """The content of the page; items and report follow the live feed."""

    def __init__(self, session: PageSession, items: list[InboxItem], report: ReportOfRuns) -> None:
        self._session = session
        self._board = InboxBoard()
        self._drawn: tuple[object, ...] | None = None
        self._night = ui.html("", sanitize=clean)
        self._box = testid(ui.element("div").classes("inbox"), "inbox-list")
        self._look = session.looker(session.api.inbox, self._take)
        self._look_at_report = session.looker(session.api.report_since, self._show_report)
        self._show_report(report)
        self._take(items)
        session.on("inbox.changed", self._follow)
        session.on_return(self._follow)

    async def _follow(self, _: object = None) -> None:
        await asyncio.gather(self._look(), self._look_at_report())

    def _show_report(self, report: ReportOfRuns) -> None:
        self._night.set_content(night_html(report) if self._session.board.listing() else "")

    def _take(self, items: list[InboxItem]) -> None:
        self._board.load(items)
        self._show()

    def _show(self) -> None:
        if self._session.client.is_deleted:
            return
        groups = self._board.groups()
        busy = tuple(self._board.word_of(one) for group in groups for one in group.rows)
        seen = (*groups, busy, bool(self._session.board.listing()))
        if seen == self._drawn:
            return
        self._drawn = seen
        self._box.clear()
        with self._box:
            for group in groups:
                head = f"{text(group.name)} <span>{group.count}</span>"
                ui.html(head, sanitize=clean, tag="h2").classes("group")
                with ui.element("div").classes("list"):
                    for item in group.rows:
                        self._draw(item)
                if group.count > len(group.rows):
                    words = f"Show all {group.count}"
                    more = partial(self._show_all, group.group)
                    button(words, more, kind="small above", mark="group-more")
            if not groups and self._session.board.listing():
                ui.html(_clear_html(self._session.board.live_runs), sanitize=clean)

    def _draw(self, item: InboxItem) -> None:
        row = ui.element("div").classes("item")
        with testid(row, "inbox-item", kind=item.kind, id=item.id):
            ui.html(item_html(item, self._session), sanitize=clean).classes("grow")
            act = action_of(self._session.api, item)
            if word := self._board.word_of(item):
                ui.html(text(word), sanitize=clean, tag="span").classes("btn small off")
            elif act is None:
                link_button(item.action, item.url, kind="small", mark="inbox-action")
            elif item.kind in CONFIRMED:
                press = partial(self._act, item)
                ConfirmButton(
                    item.action, CONFIRMED[item.kind], press, kind="small", mark="inbox-action"
                )
            else:
                button(item.action, partial(self._act, item), kind="small", mark="inbox-action")

    def _show_all(self, group: Group) -> None:
        self._board.show_all(group)
        self._show()

    async def _act(self, item: InboxItem) -> None:
        act = action_of(self._session.api, item)
        if act is None:
            return
        try:
            await self._board.act(item, act, self._show)
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
        await self._look()


def night_html(report: ReportOfRuns) -> str:
    """Return the line `Since 22:10 · 41 delivered · 6 failed · $61`, which opens to the report."""
    words = " ".join(f"<span>{text(one)}</span>" for one in report_words(report))
    nothing = "" if words else "<span>nothing has ended</span>"
    line = f"<b>Since {at_html(report.since)}</b> {words}{nothing}"
    if not report.projects:
        return f'<div class="night" data-testid="night-report">{line}</div>'
    rows = "".join(
        f'<tr><td><a href="/projects/{text(one.project_id)}">{plain_html(one.project_name)}</a>'
        f"</td><td>{one.delivered}</td><td>{one.failed}</td><td>{one.waiting_for_limit}</td>"
        f"<td>{text(rough_words(one.agent_seconds))}</td>"
        f"<td>{text(cost_words(one.cost_usd, one.cost_unknown) or '–')}</td></tr>"
        for one in report.projects
    )
    heads = ("Project", "Delivered", "Failed", "Waiting", "Agent time", "Cost")
    head = "".join(f"<th>{one}</th>" for one in heads)
    return (
        f'<details class="night" data-testid="night-report">'
        f'<summary data-testid="night-report-toggle">{line}</summary>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></details>"
    )


def item_html(item: InboxItem, session: PageSession) -> str:
    """Return an item's row: its title, which leads to its page, and the facts below it."""
    now = session.now()
    project = session.board.get(item.project_id) if item.project_id else None
    # the titles of the others name their project
    is_named = item.group == Group.ATTENTION
    facts = [f"<span>{plain_html(project.name)}</span>"] if project and not is_named else []
    if item.facts and item.facts.agent:
        facts.append(f"<span>{plain_html(item.facts.agent)}</span>")
    facts.append(f"<span>{plain_html(item.sentence)}</span>")
    if item.facts and item.facts.draft:
        facts.append('<span class="pill wait">Draft</span>')
    if item.until is not None:
        facts.append(f"<span>Resumes in {until_html(item.until, now)}.</span>")
    facts.append(ago_html(item.at, now))
    if item.facts and (cost := cost_words(item.facts.cost_usd, item.facts.cost_unknown)):
        facts.append(f"<span>{cost}</span>")
    mark = f'<i class="mark {TONES[item.group]}" aria-hidden="true"></i>'
    link = f'<a href="{text(item.url)}">{plain_html(plain(item.title))}</a>'
    return f'<div>{mark}{link}</div><div class="sub facts">{" ".join(facts)}</div>'


def _clear_html(live: int) -> str:
    runs = f"{live} run{'s are' if live != 1 else ' is'} working." if live else "Nothing waits."
    return f'<div class="card none"><b>All clear</b> <span>{runs}</span></div>'
