"""The submits under way in this server's pages, and whose browser a page belongs to."""

from __future__ import annotations

import re
from hashlib import sha256

from nicegui import app as nicegui_app

from app.pages.visit import Visit
from app.state.submits import Submits

_SESSION = re.compile(r"runyard_\d+")


def open_submits() -> Submits:
    """The submits of this server, made when first asked for."""
    kept = nicegui_app.state
    if not hasattr(kept, "submits"):
        kept.submits = Submits()
    return kept.submits


def owner_of(visit: Visit) -> str:
    """A name for the browser that opened the page: all its tabs share one session."""
    cookies = visit.client.request.cookies
    session = [value for name, value in sorted(cookies.items()) if _SESSION.fullmatch(name)]
    return sha256("\n".join([visit.system.person, *session]).encode()).hexdigest()
