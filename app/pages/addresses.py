"""Where screens are found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from nicegui import ui

# on a machine that is busy with agents a page comes late rather than as an error
PATIENCE_SECONDS = 30.0


def page_at(path: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function draw the page at a path; it has half a minute for that."""
    return ui.page(path, dark=None, response_timeout=PATIENCE_SECONDS)


def runs_path(project_id: str, **filters: str) -> str:
    """The list of a project's runs, with filters as `/runs` reads them (`branch`, `issue`)."""
    return f"/runs?{urlencode({'project': project_id, **filters})}"
