"""The accounts that are at their usage limit, on `/quota`: why, until when, and what to do."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial

from nicegui import ui

from app.domain.ids import shorten
from app.pages.components.buttons import button
from app.pages.components.countdown import at_html, until_html
from app.pages.components.marks import testid
from app.pages.components.markup import clean, counted, text
from app.pages.components.plain_sight import plain, plain_html
from app.pages.components.status_pill import pill_of
from app.pages.visit import Visit
from app.state.wire import AccountHoldOut, ApiProblem, NoAnswer

STANDS = {"due": "Tried next", "probing": "Being tried", "easing": "Back again"}


class AccountHolds:
    """One card for each hold, drawn anew where one changed."""

    def __init__(self, visit: Visit, look: Callable[[], Awaitable[None]]) -> None:
        self._visit = visit
        self._look = look
        self._seen: tuple[AccountHoldOut, ...] | None = None
        # kept until an answer came: a press that is repeated starts nothing twice
        self._keys: dict[str, str] = {}
        heading = ui.html("Usage limits of agents", sanitize=clean, tag="h2").classes("above")
        self._list = testid(ui.element("div").classes("list"), "account-holds")
        self._parts = (heading, self._list)

    def show(self, holds: tuple[AccountHoldOut, ...], now: datetime) -> None:
        """Say which accounts are held."""
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
            if hold.stand == "held":
                resume = partial(self._press, partial(self._resume, hold))
                button("Resume now", resume, kind="small pri", mark="resume-run")
            if hold.stand != "easing":
                lift = partial(self._press, partial(self._lift, hold))
                button("Lift", lift, kind="small", mark="lift-hold")

    async def _press(self, act: Callable[[], Awaitable[None]]) -> None:
        try:
            await act()
        except (ApiProblem, NoAnswer) as problem:
            self._visit.refuse(problem)

    async def _resume(self, hold: AccountHoldOut) -> None:
        key = self._keys.setdefault(hold.run_id, str(uuid.uuid4()))
        made = await self._visit.api.resume(hold.run_id, key=key)
        self._keys.pop(hold.run_id, None)
        self._visit.go(f"/runs/{made.id}")

    async def _lift(self, hold: AccountHoldOut) -> None:
        await self._visit.api.lift_hold(hold.agent, hold.family)
        await self._look()
        self._visit.say("Lifted. The runs that waited for it follow one by one.")


def hold_html(hold: AccountHoldOut, now: datetime) -> str:
    """`claude · Usage limit · 41:08`, who waits, and what the agent wrote."""
    what = f"{hold.agent} · {hold.family}" if hold.family else hold.agent
    words, when = STANDS.get(hold.stand, "Usage limit"), ""
    if hold.stand == "held" and hold.until is not None:
        words += f" · {until_html(hold.until, now)}"
        when = f"until {at_html(hold.until)} · "
    elif hold.stand == "held":
        when = "until you lift it · "
    run = f'met by <a href="/runs/{text(hold.run_id)}">run {text(shorten(hold.run_id))}</a>'
    return (
        f"<div><b>{plain_html(what)}</b> {pill_of(words, 'wait', testid='hold-status')}</div>"
        f'<div class="sub">{when}{counted(hold.waiting, "run")} waiting · {run}</div>'
        f'<div class="sub m says">{plain_html(hold.evidence)}</div>'
    )
