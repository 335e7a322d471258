"""Settings (`/settings`): what doctor sees on the server's machine, and every limit's origin."""

from __future__ import annotations

from nicegui import ui

from app.pages.components.markup import clean, text
from app.pages.components.status_pill import pill_html
from app.pages.components.tabs import Tabs, chosen_tab
from app.pages.frame import frame
from app.pages.visit import Visit
from app.state.door import Door
from app.state.wire import Finding, SettingOut

TABS = ("Doctor", "Limits")
TONES = {"ok": "go", "look": "wait", "none": "idle"}


def register(door: Door) -> None:
    """Define `/settings`."""

    @ui.page("/settings", dark=None)
    async def settings_page(tab: str = "") -> None:
        visit = await Visit.open(door)
        seen = await visit.api.doctor()
        chosen = chosen_tab(TABS, tab)
        with frame(visit, title="Settings", active="settings"):
            Tabs(TABS, chosen, about="Settings")
            table = findings_html(seen.items) if chosen == "Doctor" else limits_html(seen.settings)
            ui.html(table, sanitize=clean).classes("wrap")


def findings_html(findings: list[Finding]) -> str:
    """Doctor's findings as a table."""
    rows = "".join(
        f"<tr><td>{pill_html(f.level, TONES[f.level])}</td><td>{text(f.check)}</td>"
        f'<td class="m wide">{text(f.found)}</td><td class="sub wide">{text(f.advice)}</td></tr>'
        for f in findings
    )
    head = '<th><span class="sr">State</span></th><th>Check</th><th>Found</th><th>What to do</th>'
    return f'<table class="t fold"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _told(value: str) -> str:
    return "not set" if value in ("", "None") else value


def limits_html(settings: list[SettingOut]) -> str:
    """Every setting with its value and where that came from."""
    rows = "".join(
        f'<tr><td class="m">{text(s.name)}</td><td class="m wide">{text(_told(s.value))}</td>'
        f'<td class="sub">{text(s.origin)}</td></tr>'
        for s in settings
    )
    head = "<th>Setting</th><th>Value</th><th>Comes from</th>"
    return f'<table class="t fold"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
