"""The banner `limits degraded`: where the shared counter is lost, the runs table decides."""

from __future__ import annotations

from app.pages.components.status_pill import pill_html
from app.state.wire import SystemOut


def limits_html(system: SystemOut) -> str:
    """The banner as markup, empty while the limits stand on what they should."""
    if system.limits != "degraded":
        return ""
    words = "The shared counter cannot be reached: runs are counted in the database meanwhile."
    pill = pill_html("limits degraded", "wait")
    return f'<div class="banner wait" data-testid="limits-banner">{pill}<span>{words}</span></div>'
