"""One banner per account at its usage limit: who waits for it, and when it works again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import AccountHoldOut
from app.pages.components.buttons import button
from app.pages.components.countdown import at_html, until_html
from app.pages.components.icons import icon
from app.pages.components.markup import clean, counted, plain, plain_html
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession
from app.state.projects.sections import held_accounts

Key = tuple[str, str]


class LimitBanners:
    """The banners of a page; they follow its project board."""

    def __init__(self, session: PageSession) -> None:
        self._session = session
        self._box = ui.element("div").classes("limits")
        self._seen: Mapping[Key, int] = {}
        self._holds: tuple[AccountHoldOut, ...] = ()
        self._texts: dict[Key, ui.html] = {}
        self._look = session.looker(session.api.account_holds, self._take)
        session.on_return(self._look)

    async def follow(self) -> None:
        """Ask for the accounts anew where another one is held, or others wait for it."""
        waiting = held_accounts(self._session.board.listing())
        if waiting != self._seen:
            self._seen = waiting
            await self._look()

    def _take(self, holds: list[AccountHoldOut]) -> None:
        self._holds = tuple(one for one in holds if one.stand == "held")
        wanted = {_key(one): one for one in self._holds}
        if list(wanted) != list(self._texts):
            self._box.clear()
            self._texts = {}
            with self._box:
                for key, hold in wanted.items():
                    self._texts[key] = self._draw(hold)
        for key, hold in wanted.items():
            self._texts[key].set_content(self._words(hold))

    def _draw(self, hold: AccountHoldOut) -> ui.html:
        row = ui.element("div").classes("banner wait limit")
        with testid(row, "limit-banner", agent=plain(hold.agent)):
            # the browser's clock may be ahead
            words = ui.html("", sanitize=clean).classes("grow")
            words.on("over", lambda: ui.timer(0.5, self._look, once=True))
            if self._session.may("lift"):
                button("Try now", partial(self._lift, hold), kind="small", mark="try-now")
        return words

    def _words(self, hold: AccountHoldOut) -> str:
        return limit_html(hold, self._seen.get(_key(hold), 0), self._session.now())

    async def _lift(self, hold: AccountHoldOut) -> None:
        try:
            await self._session.api.lift_hold(hold.agent, hold.family)
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
            return
        await self._look()
        self._session.notify("Limit lifted; waiting runs restart one at a time.")


def limit_html(hold: AccountHoldOut, projects: int, now: datetime) -> str:
    """Return `claude reached its usage limit. 2 runs and 4 projects are waiting. …`."""
    what = f"{hold.agent} ({hold.family})" if hold.family else hold.agent
    parts = [(hold.waiting, "run"), (projects, "project")]
    waiting = [counted(count, noun) for count, noun in parts if count]
    is_one = hold.waiting + projects == 1
    said = f"{' and '.join(waiting)} {'is' if is_one else 'are'} waiting." if waiting else ""
    then = "Nothing continues until the limit is lifted."
    if hold.until is not None:
        subject = "It continues" if is_one or not waiting else "They continue"
        then = f"{subject} at {at_html(hold.until)}, in {until_html(hold.until, now)}."
    head = f"{icon('hourglass')}<span><b>{plain_html(what)} reached its usage limit.</b>"
    return f"{head} {said} {then}</span>"


def _key(hold: AccountHoldOut) -> Key:
    return hold.agent, hold.family
