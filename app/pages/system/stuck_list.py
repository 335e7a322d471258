"""All quarantined operations, each with a button to try it again."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import StuckOut
from app.pages.components.buttons import button
from app.pages.components.countdown import ago_html
from app.pages.components.markup import clean, counted, plain_html, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession


class StuckList:
    """One banner per quarantined operation; empty if there are none."""

    def __init__(self, session: PageSession, stuck: Sequence[StuckOut]) -> None:
        self._session = session
        self._shown: Sequence[StuckOut] = ()
        self._place = testid(ui.element("div"), "stuck-list").classes("part")
        self._look = session.looker(session.api.stuck, self._show)
        self._show(stuck)
        session.on("quarantine.changed", lambda _: self._look())
        session.on_return(self._look)

    def _show(self, stuck: Sequence[StuckOut]) -> None:
        if stuck == self._shown:
            return
        self._shown = stuck
        self._place.clear()
        with self._place:
            if stuck:
                ui.html('<h2 class="above">Left to you</h2>', sanitize=clean)
            for one in stuck:
                with testid(ui.element("div"), "stuck", key=one.key).classes("banner stop"):
                    ui.html(self._words(one), sanitize=clean).classes("grow")
                    button("Try again", partial(self._try, one.key), kind="small", mark="try-again")

    def _words(self, one: StuckOut) -> str:
        times, since = counted(one.tries, "time"), ago_html(one.first_at, self._session.now())
        return (
            f'<span>Runyard could not finish <code class="m">{text(one.key)}</code>: it failed '
            f"{times} ({plain_html(one.because)}), first {since}. Nothing is lost. Check the log, "
            "then try again.</span>"
        )

    async def _try(self, key: str) -> None:
        try:
            await self._session.api.try_again(key)
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
        else:
            self._session.notify("It is tried again.")
