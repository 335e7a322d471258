"""Health, as shown in the settings: each part's state, what still works, what is quarantined."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from nicegui import ui

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import HealthOut, StuckOut, SystemOut
from app.pages.components.buttons import button
from app.pages.components.chips import correlation_chip_html, pill_html
from app.pages.components.countdown import ago_html, day_html
from app.pages.components.markup import clean, counted, plain_html, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession

TONES = {"Healthy": "go", "Degraded": "wait", "Unreachable": "stop"}


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
                    if self._session.may("retry_stuck"):
                        again = partial(self._try, one.key)
                        button("Try again", again, kind="small", mark="try-again")

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
            self._session.notify("Retrying.")


class HealthPanel:
    """The list of parts, redrawn when one changes."""

    def __init__(self, session: PageSession) -> None:
        ui.html("Health", sanitize=clean, tag="h2").classes("above")
        self._parts = testid(ui.html("", sanitize=clean), "health")
        look = session.looker(session.api.system, self._show)
        self._show(session.system)
        session.on("stores.changed", lambda _: look())
        session.on_arrival(look)
        session.on_return(look)

    def _show(self, system: SystemOut) -> None:
        self._parts.set_content(health_html(system.health))


def health_html(parts: list[HealthOut]) -> str:
    """Return the parts as an HTML list."""
    return f'<div class="list part">{"".join(map(_part_html, parts))}</div>'


def _part_html(one: HealthOut) -> str:
    since = f"since {day_html(one.since)}" if one.since else ""
    chip = correlation_chip_html(one.correlation_id) if one.correlation_id else ""
    facts = " · ".join(part for part in (since, text(one.works)) if part)
    return (
        f'<div class="item" data-part="{text(one.part)}" data-health="{text(one.health)}">'
        f"<b>{text(one.part[:1].upper() + one.part[1:])}</b>"
        f"{pill_html(one.health, TONES[one.health])}"
        f'<span class="grow"><span class="sub">{facts}</span></span>{chip}</div>'
    )
