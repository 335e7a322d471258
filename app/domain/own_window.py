"""Detection of requests from Runyard's own window."""

from __future__ import annotations

# appended to the User-Agent of the window's requests
MARK = "RunyardWindow"


def is_own_window(user_agent: str) -> bool:
    """Return True if a request came from the window, where pages may open a folder dialog."""
    return user_agent.endswith(f" {MARK}")
