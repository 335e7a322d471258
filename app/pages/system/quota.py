"""Quota (`/quota`): runs left, accounts at their usage limit, open runs per project."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from urllib.parse import urlencode

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import AccountHoldOut, PeopleQuotas, PersonQuotaOut, QuotaOut
from app.domain.formatting import iso
from app.domain.ids import shorten
from app.domain.quota import Counted, LimitOf, quota_banner
from app.domain.text.durations import span_words
from app.domain.usage_limits import STAND_LABELS
from app.pages.components.banners import limits_html, own_limit_html, quota_words_html
from app.pages.components.buttons import button
from app.pages.components.chips import pill_of
from app.pages.components.countdown import at_html, until_html
from app.pages.components.markup import clean, counted, plain, plain_html, text
from app.pages.components.testids import testid
from app.pages.shell.frame import frame, refused
from app.pages.shell.page_session import PageSession, page_at
from app.state.page.connection import Connection
from app.state.system.boards import Occupied, QuotaBoard

LIMIT_WORDS = {
    LimitOf.PERSON: "Person",
    LimitOf.ROLE: "Role",
    LimitOf.SERVER: "Server",
}
PEOPLE_NOTE = (
    'Limits for people are set under <a href="/settings?tab=people">People</a>, limits for roles '
    'under <a href="/settings?tab=organisation">Organisation</a>.'
)


class AccountHolds:
    """One card per hold on an account, redrawn when one changes."""

    def __init__(self, session: PageSession, look: Callable[[], Awaitable[None]]) -> None:
        self._session = session
        self._look = look
        self._seen: tuple[AccountHoldOut, ...] | None = None
        # kept until the server answers, so that pressing again starts nothing twice
        self._keys: dict[str, str] = {}
        heading = ui.html("Agent usage limits", sanitize=clean, tag="h2").classes("above")
        self._list = testid(ui.element("div").classes("list"), "account-holds")
        self._parts = (heading, self._list)

    def show(self, holds: tuple[AccountHoldOut, ...], now: datetime) -> None:
        """Show which accounts are on hold."""
        for part in self._parts:
            part.set_visibility(bool(holds))
        if holds == self._seen:
            return
        self._seen = holds
        self._list.clear()
        with self._list:
            for hold in holds:
                self._draw(hold, now)

    def _draw(self, hold: AccountHoldOut, now: datetime) -> None:
        row = ui.element("div").classes("item account-hold")
        with testid(row, "account-hold", agent=plain(hold.agent)):
            facts = ui.html(hold_html(hold, now), sanitize=clean).classes("grow")
            # the browser's clock may be ahead
            facts.on("over", lambda: ui.timer(0.5, self._look, once=True))
            # without a project the run is gone, or one that this person does not see
            may_resume = hold.project_id and self._session.may("resume", hold.project_id)
            if hold.stand == "held" and may_resume:
                resume = partial(self._press, partial(self._resume, hold))
                button("Resume now", resume, kind="small pri", mark="resume-run")
            if hold.stand != "easing" and self._session.may("lift"):
                lift = partial(self._press, partial(self._lift, hold))
                button("Lift", lift, kind="small", mark="lift-hold")

    async def _press(self, act: Callable[[], Awaitable[None]]) -> None:
        try:
            await act()
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)

    async def _resume(self, hold: AccountHoldOut) -> None:
        key = self._keys.setdefault(hold.run_id, str(uuid.uuid4()))
        made = await self._session.api.resume(hold.run_id, key=key)
        self._keys.pop(hold.run_id, None)
        self._session.go(f"/runs/{made.id}")

    async def _lift(self, hold: AccountHoldOut) -> None:
        await self._session.api.lift_hold(hold.agent, hold.family)
        await self._look()
        self._session.notify("Limit lifted; waiting runs restart one at a time.")


def hold_html(hold: AccountHoldOut, now: datetime) -> str:
    """Return `claude · Usage limit · 41:08`, the waiting runs and the agent's message."""
    what = f"{hold.agent} · {hold.family}" if hold.family else hold.agent
    words, when = STAND_LABELS.get(hold.stand, "Usage limit"), ""
    if hold.stand == "held" and hold.until is not None:
        words += f" · {until_html(hold.until, now)}"
        when = f"until {at_html(hold.until)} · "
    elif hold.stand == "held":
        when = "until you lift it · "
    run = ""
    if hold.run_id:
        named = f"run {text(shorten(hold.run_id))}"
        run = f' · reached by <a href="/runs/{text(hold.run_id)}">{named}</a>'
    return (
        f"<div><b>{plain_html(what)}</b> {pill_of(words, 'wait', testid='hold-status')}</div>"
        f'<div class="sub">{when}{counted(hold.waiting, "run")} waiting{run}</div>'
        f'<div class="sub m says">{plain_html(hold.evidence)}</div>'
    )


def register(connection: Connection) -> None:
    """Define `/quota`."""

    @page_at("/quota")
    async def quota_page() -> None:
        session = await PageSession.open(connection)
        try:
            board = await ask_board(session)
        except ApiProblem as problem:
            refused(session, problem, active="")
            return
        with frame(session, title="Quota", active="", crumbs=[("Projects", "/projects")]):
            QuotaScreen(session, board)


async def ask_board(session: PageSession) -> QuotaBoard:
    """Fetch the page's data, for an admin of everybody too. Raises ApiProblem or NoAnswer."""
    return await QuotaBoard.ask(session.api, everybody=session.may("read_people"))


class QuotaScreen:
    """The gauges, updated when a figure changes; their clocks tick in the browser."""

    def __init__(self, session: PageSession, board: QuotaBoard) -> None:
        self._session = session
        self._limits = ui.html("", sanitize=clean)
        self._banner = testid(ui.html("", sanitize=clean).classes("banners"), "quota-banners")
        self._banner.props("role=status")
        with ui.element("div").classes("gauges"):
            self._window = testid(ui.html("", sanitize=clean).classes("card"), "quota-gauge")
            self._next = testid(ui.html("", sanitize=clean).classes("card"), "quota-next")
            self._batches = testid(ui.html("", sanitize=clean).classes("card"), "quota-batches")
        self._look = session.looker(lambda: ask_board(session), self._show)
        self._holds = AccountHolds(session, self._look)
        ui.html("Open runs per project", sanitize=clean, tag="h2").classes("above")
        self._busy = testid(ui.html("", sanitize=clean).classes("lists"), "quota-projects")
        if board.people is not None:
            ui.html("Everybody", sanitize=clean, tag="h2").classes("above")
        self._everybody = testid(ui.html("", sanitize=clean), "quota-people")
        # the end of a countdown publishes no event; the browser's clock may be ahead
        for card in (self._banner, self._next, self._batches, self._everybody):
            card.on("over", lambda: ui.timer(0.5, self._look, once=True))
        self._show(board)
        for kind in ("quota.changed", "run.changed", "project.changed"):
            session.on(kind, self._follow)
        session.on_return(self._look)

    def _show(self, board: QuotaBoard) -> None:
        now = self._session.now()
        self._limits.set_content(limits_html(board.system))
        self._banner.set_content(banner_html(board.quota, now))
        self._window.set_content(window_html(board.quota))
        self._next.set_content(next_html(board.quota, now))
        self._batches.set_content(batches_html(board.batches, now))
        self._busy.set_content(busy_html(board.busy))
        self._holds.show(board.holds, now)
        self._everybody.set_content(people_html(board.people, now) if board.people else "")

    async def _follow(self, _: object) -> None:
        await self._look()


def banner_html(quota: QuotaOut, now: datetime) -> str:
    """Return the run form's quota banner; empty while more than a tenth is left."""
    banner = quota_banner(
        limit=quota.limit,
        remaining=quota.remaining,
        reset_at=quota.reset_at,
        free_at=quota.free_at,
    )
    if banner is None:
        return ""
    words, tone = quota_words_html(banner, now)
    return f'<div class="banner {tone}" data-testid="quota-banner"><span>{words}</span></div>'


def window_html(quota: QuotaOut) -> str:
    """Return `12 of 20 runs used`, as a figure and a gauge."""
    window = span_words(quota.window_seconds)
    left = f"{counted(quota.remaining, 'run')} left in a rolling window of {window}"
    slides = "A run counts from the moment it is accepted."
    whose = own_limit_html(Counted.RUNS, quota)
    return _used_html(quota, "runs", f"{left}. {slides}") + whose


def batches_html(quota: QuotaOut, now: datetime) -> str:
    """Return `40 of 1000 batch items used`, and when the oldest batch leaves the window."""
    window = span_words(quota.window_seconds)
    left = f"{counted(quota.remaining, 'item')} left in a rolling window of {window}"
    told = "A batch counts as soon as it is created."
    if quota.reset_at is not None:
        until = until_html(quota.reset_at, now)
        told = f"The oldest batch stops counting in {until}, at {at_html(quota.reset_at)}."
    whose = own_limit_html(Counted.BATCHES, quota)
    return _used_html(quota, "batch items", f"{left}. {told}") + whose


def next_html(quota: QuotaOut, now: datetime) -> str:
    """Return the countdown until another run is available, and its gauge."""
    if quota.limit == 0:
        return '<b class="figure">–</b><span class="sub">Your limit is 0.</span>'
    # after a lower limit, several runs have to leave the window first
    ends = quota.free_at or quota.reset_at
    if ends is None:
        return '<b class="figure">–</b><span class="sub">No run is in the window.</span>'
    left = max(0.0, (ends - now).total_seconds())
    bar = (
        f'<progress class="budget tall" max="{quota.window_seconds}" '
        f'value="{max(0, int(quota.window_seconds - left))}" data-until="{iso(ends)}" '
        'aria-label="Time until the next run is available"></progress>'
    )
    return (
        f'<b class="figure">{until_html(ends, now)}</b>{bar}'
        f'<span class="sub">until the next run is available, at {at_html(ends)}.</span>'
    )


def busy_html(busy: tuple[Occupied, ...]) -> str:
    """Return each project with open runs: how many, and its limit."""
    if not busy:
        return '<div class="card none">No project has an open run.</div>'
    rows = "".join(
        f'<div class="item" data-project="{text(one.project.id)}">'
        f'<a class="grow" href="/projects/{text(one.project.id)}">'
        f"{plain_html(one.project.name)}</a>"
        f'<span class="num mut">{one.active} of {one.max}</span>'
        f"{_gauge(one.active, one.max, f'Open runs of {plain(one.project.name)}')}</div>"
        for one in busy
    )
    return f'<div class="list">{rows}</div>'


def people_html(people: PeopleQuotas, now: datetime) -> str:
    """Return everybody's runs of their limit, and when a full window has room again."""
    head = "".join(
        f'<th scope="col">{words}</th>'
        for words in ("Person", "Role", "Runs", "Used", "Limit set for", "Free again")
    )
    rows = "".join(_person_html(one, now) for one in people.items)
    return (
        f'<p class="sub said">{PEOPLE_NOTE}</p><div class="wrap">'
        f'<table class="t fold"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _person_html(one: PersonQuotaOut, now: datetime) -> str:
    path = f"/audit?{urlencode({'person': one.person_id})}"
    free = ""
    if one.remaining == 0:
        free = f"in {until_html(one.free_at, now)}" if one.free_at else "never"
    return (
        f'<tr data-testid="quota-person" data-id="{text(one.person_id)}">'
        f'<td class="named"><a href="{text(path)}">{plain_html(one.name)}</a></td>'
        f'<td class="sub">{text(one.role.value)}</td>'
        f'<td class="num tight">{one.used} / {one.limit}</td>'
        f'<td class="roomy">{_gauge(one.used, one.limit, f"Runs of {plain(one.name)}")}</td>'
        f'<td class="sub">{LIMIT_WORDS[one.limit_of]}</td><td class="sub tight">{free}</td></tr>'
    )


def _used_html(quota: QuotaOut, what: str, told: str) -> str:
    return (
        f'<b class="figure">{quota.used} <span class="sub">of {quota.limit} {what} used</span></b>'
        f"{_gauge(quota.used, quota.limit, f'{what.capitalize()} used')}"
        f'<span class="sub">{told}</span>'
    )


def _gauge(used: int, limit: int, about: str) -> str:
    tone = " full" if used >= limit else ""
    # a gauge of nothing is full
    most, filled = (limit, min(used, limit)) if limit else (1, 1)
    return (
        f'<progress class="budget tall{tone}" max="{most}" value="{filled}" '
        f'aria-label="{text(about)}: {used} of {limit}"></progress>'
    )
