"""The banner over every page while nothing can be changed: the database is away, or stopped."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from app.pages.components.markup import clean, text
from app.pages.visit import Visit


def draw_stores_banner(visit: Visit) -> None:
    """Draw it, empty while the databases can be written to, and keep it true."""
    banner = ui.html(stores_html(_sentence(visit)), sanitize=clean)

    def hear(data: dict[str, Any]) -> None:
        banner.set_content(stores_html(data["trouble"]))

    visit.on("stores.changed", hear)
    visit.on_return(lambda: hear({"trouble": _sentence(visit)}))


def _sentence(visit: Visit) -> str:
    return " ".join(dict.fromkeys(one.what for one in visit.system.trouble))


def stores_html(trouble: str | None) -> str:
    """The banner as markup, empty where there is no trouble."""
    if not trouble:
        return ""
    return (
        '<div class="banner stop" role="alert" data-testid="stores-banner">'
        f"<span>{text(trouble)}</span></div>"
    )
