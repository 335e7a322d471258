"""The live badge: `Live`, `Reconnecting…`, `Synced at 14:02:11`, `Manual Reconnect Only`.

Only the browser knows that the link is lost, so assets/clock.js shows and undoes those words.
"""

from __future__ import annotations

from datetime import datetime

from nicegui import ui

from app.pages.components.countdown import at_html
from app.pages.components.markup import clean

RECONNECT = '<button type="button" class="btn small" data-reconnect hidden>Reconnect</button>'


def _badge(inner: str, tone: str, live: str) -> str:
    return f'<span class="pill {tone}" data-testid="live-badge" {live}>{inner}</span> {RECONNECT}'


class LiveBadge:
    """The badge of one page."""

    def __init__(self) -> None:
        self.element = ui.html(_badge("Live", "go", "data-live"), sanitize=clean, tag="span")
        self.element.classes("badge")

    def show_synced(self, at: datetime) -> None:
        """What the page showed has ended: nothing more will change."""
        self.element.set_content(
            _badge(f"<span>Synced at {at_html(at, with_seconds=True)}</span>", "idle", "")
        )
