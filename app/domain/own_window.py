"""How a page knows that Runyard's own window shows it."""

from __future__ import annotations

# said behind the browser's name in each request of the window
MARK = "RunyardWindow"


def is_own_window(user_agent: str) -> bool:
    """True where a request came from the window: the page may ask for a folder there."""
    return user_agent.endswith(f" {MARK}")
