"""Banners about limits and the databases."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from nicegui import ui

from app.api.schemas import QuotaOut, SystemOut
from app.domain.quota import Counted, LimitOf, QuotaBanner, QuotaLevel, own_limit, set_in
from app.pages.components.chips import pill_html
from app.pages.components.countdown import at_html, until_html
from app.pages.components.markup import clean, text
from app.pages.shell.page_session import PageSession


def quota_words_html(banner: QuotaBanner, now: datetime) -> tuple[str, str]:
    """Return the sentence (HTML) and tone of the banner for a nearly or fully used window."""
    if banner.is_closed:
        return "You may not start any runs: your limit is 0.", "stop"
    if banner.level is QuotaLevel.EXHAUSTED:
        left = until_html(banner.reset_at, now) if banner.reset_at else "a while"
        return f"Quota exhausted — next window opens in {left}.", "stop"
    resets = f" (resets at {at_html(banner.reset_at)})" if banner.reset_at else ""
    noun = "run" if banner.remaining == 1 else "runs"
    left = f"{banner.remaining} {noun} remaining in the current window{resets}"
    return f"You are close to your run limit. {left}.", "wait"


def own_limit_html(counted: Counted, quota: QuotaOut) -> str:
    """Return the line that names the limit's owner, with a link to the server's setting."""
    whose = text(own_limit(counted, quota.limit, quota.window_seconds, quota.limit_of))
    if quota.limit_of is LimitOf.SERVER:
        whose += ' · <a href="/settings?tab=limits">Settings</a>'
    else:
        whose += " · set by an admin"
    return (
        f'<p class="sub said" data-testid="own-limit" title="{set_in(counted, quota.limit_of)}">'
        f"{whose}</p>"
    )


def limits_html(system: SystemOut) -> str:
    """Return the banner for degraded limits as HTML; empty unless they are degraded."""
    if system.limits != "degraded":
        return ""
    words = "The shared counter cannot be reached: runs are counted in the database for now."
    pill = pill_html("limits degraded", "wait")
    return f'<div class="banner wait" data-testid="limits-banner">{pill}<span>{words}</span></div>'


def draw_stores_banner(session: PageSession) -> None:
    """Draw the database banner and keep it current; empty while the databases are writable."""
    banner = ui.html(stores_html(_sentence(session)), sanitize=clean).classes("stores")

    def show(data: dict[str, Any]) -> None:
        banner.set_content(stores_html(data["trouble"]))

    session.on("stores.changed", show)
    session.on_return(lambda: show({"trouble": _sentence(session)}))


def _sentence(session: PageSession) -> str:
    return " ".join(dict.fromkeys(one.what for one in session.system.trouble))


def stores_html(trouble: str | None) -> str:
    """Return the database banner as HTML; empty if there is no trouble."""
    if not trouble:
        return ""
    return (
        '<div class="banner stop" role="alert" data-testid="stores-banner">'
        f"<span>{text(trouble)}</span></div>"
    )
