"""Where a screen is found, the same for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui

# on a machine that is busy with agents a page comes late rather than as an error
PATIENCE_SECONDS = 30.0


def page_at(path: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function draw the page at a path; it has half a minute for that."""
    return ui.page(path, dark=None, response_timeout=PATIENCE_SECONDS)
