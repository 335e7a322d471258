"""Health, as shown in the settings: each part's state, since when, and what still works."""

from __future__ import annotations

from nicegui import ui

from app.api.schemas import HealthOut, SystemOut
from app.pages.components.chips import correlation_chip_html, pill_html
from app.pages.components.countdown import day_html
from app.pages.components.markup import clean, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession

TONES = {"Healthy": "go", "Degraded": "wait", "Unreachable": "stop"}


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
