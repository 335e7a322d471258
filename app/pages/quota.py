"""Quota (`/quota`): how many runs are left, which accounts are held, how full projects are."""

from __future__ import annotations

from datetime import datetime

from nicegui import ui

from app.domain.quota_rules import Counted, quota_banner
from app.pages.addresses import page_at
from app.pages.components.countdown import at_html, iso, until_html
from app.pages.components.limits_banner import limits_html, own_limit_html, quota_words_html
from app.pages.components.marks import testid
from app.pages.components.markup import clean, counted, text
from app.pages.components.plain_sight import plain, plain_html
from app.pages.frame import frame, refused
from app.pages.quota_holds import AccountHolds
from app.pages.visit import Visit
from app.state.door import Door
from app.state.durations import span
from app.state.quota_board import Occupied, QuotaBoard
from app.state.wire import ApiProblem, QuotaOut


def register(door: Door) -> None:
    """Define `/quota`."""

    @page_at("/quota")
    async def quota_page() -> None:
        visit = await Visit.open(door)
        try:
            board = await QuotaBoard.ask(visit.api)
        except ApiProblem as problem:
            refused(visit, problem, active="")
            return
        with frame(visit, title="Quota", active="", crumbs=[("Projects", "/")]):
            QuotaScreen(visit, board)


class QuotaScreen:
    """The gauges, drawn anew where a figure changed; their clocks tick in the browser."""

    def __init__(self, visit: Visit, board: QuotaBoard) -> None:
        self._visit = visit
        self._limits = ui.html("", sanitize=clean)
        self._banner = ui.html("", sanitize=clean).classes("banners").props("role=status")
        with ui.element("div").classes("gauges"):
            self._window = testid(ui.html("", sanitize=clean).classes("card"), "quota-gauge")
            self._next = testid(ui.html("", sanitize=clean).classes("card"), "quota-next")
            self._batches = testid(ui.html("", sanitize=clean).classes("card"), "quota-batches")
        self._look = visit.looker(lambda: QuotaBoard.ask(visit.api), self._show)
        self._holds = AccountHolds(visit, self._look)
        ui.html("Runs open at once", sanitize=clean, tag="h2").classes("above")
        self._busy = testid(ui.html("", sanitize=clean), "quota-projects")
        # the end of a countdown is a change nobody tells of; the browser's clock may be ahead
        for card in (self._banner, self._next, self._batches):
            card.on("over", lambda: ui.timer(0.5, self._look, once=True))
        self._show(board)
        for kind in ("quota.changed", "run.changed", "project.changed"):
            visit.on(kind, self._follow)
        visit.on_return(self._look)

    def _show(self, board: QuotaBoard) -> None:
        now = self._visit.now()
        self._limits.set_content(limits_html(board.system))
        self._banner.set_content(banner_html(board.quota, now))
        self._window.set_content(window_html(board.quota))
        self._next.set_content(next_html(board.quota, now))
        self._batches.set_content(batches_html(board.batches, now))
        self._busy.set_content(busy_html(board.busy))
        self._holds.show(board.holds, now)

    async def _follow(self, _: object) -> None:
        await self._look()


def banner_html(quota: QuotaOut, now: datetime) -> str:
    """The sentence of the form where a tenth or less is left; empty where there is more."""
    banner = quota_banner(limit=quota.limit, remaining=quota.remaining, reset_at=quota.reset_at)
    if banner is None:
        return ""
    words, tone = quota_words_html(banner, now)
    return f'<div class="banner {tone}" data-testid="quota-banner"><span>{words}</span></div>'


def window_html(quota: QuotaOut) -> str:
    """`12 of 20 runs used`, as a figure and as a gauge."""
    left = f"{counted(quota.remaining, 'run')} left in a window of {span(quota.window_seconds)}"
    slides = f"It slides: each run leaves it {span(quota.window_seconds)} after it was accepted."
    whose = own_limit_html(Counted.RUNS, quota)
    return _used_html(quota, "runs", f"{left}. {slides}") + whose


def batches_html(quota: QuotaOut, now: datetime) -> str:
    """`40 of 1000 items of batches used`, and when the oldest batch leaves the window."""
    left = f"{counted(quota.remaining, 'item')} left in a window of {span(quota.window_seconds)}"
    told = "A batch is charged whole when it is made."
    if quota.reset_at is not None:
        until = until_html(quota.reset_at, now)
        told = f"The oldest batch leaves it in {until}, at {at_html(quota.reset_at)}."
    whose = own_limit_html(Counted.BATCHES, quota)
    return _used_html(quota, "items of batches", f"{left}. {told}") + whose


def next_html(quota: QuotaOut, now: datetime) -> str:
    """When the oldest run leaves the window: a countdown and its gauge."""
    if quota.reset_at is None:
        return '<b class="figure">–</b><span class="sub">No run is in the window.</span>'
    left = max(0.0, (quota.reset_at - now).total_seconds())
    bar = (
        f'<progress class="budget tall" max="{quota.window_seconds}" '
        f'value="{max(0, int(quota.window_seconds - left))}" data-until="{iso(quota.reset_at)}" '
        'aria-label="Time until a run is given back"></progress>'
    )
    return (
        f'<b class="figure">{until_html(quota.reset_at, now)}</b>{bar}'
        f'<span class="sub">until one more run opens, at {at_html(quota.reset_at)}.</span>'
    )


def busy_html(busy: tuple[Occupied, ...]) -> str:
    """Each project with open runs: how many, of how many."""
    if not busy:
        return '<div class="card none">No project has an open run.</div>'
    rows = "".join(
        f'<div class="item" data-project="{text(one.project.id)}">'
        f'<a class="grow" href="/projects/{text(one.project.id)}">'
        f"{plain_html(one.project.name)}</a>"
        f'<span class="m">{one.active} of {one.max}</span>'
        f"{_gauge(one.active, one.max, f'Open runs of {plain(one.project.name)}')}</div>"
        for one in busy
    )
    return f'<div class="list">{rows}</div>'


def _used_html(quota: QuotaOut, what: str, told: str) -> str:
    return (
        f'<b class="figure">{quota.used} <span class="sub">of {quota.limit} {what} used</span></b>'
        f"{_gauge(quota.used, quota.limit, f'{what.capitalize()} used')}"
        f'<span class="sub">{told}</span>'
    )


def _gauge(used: int, limit: int, about: str) -> str:
    tone = " full" if used >= limit else ""
    return (
        f'<progress class="budget tall{tone}" max="{limit}" value="{min(used, limit)}" '
        f'aria-label="{text(about)}: {used} of {limit}"></progress>'
    )
