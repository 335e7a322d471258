"""Icons (Lucide outlines of assets/icons.css) and the marks of states, both beside words."""

from __future__ import annotations

from typing import Literal

from app.domain.words import Status
from app.pages.components.markup import text

Mark = Literal["ready", "waiting", "running", "review", "done", "warn", "attn", "fail", "stopped"]
MARKS: dict[Status, Mark] = {
    Status.DELAYED: "waiting",
    Status.QUEUED: "waiting",
    Status.STARTING: "running",
    Status.RUNNING: "running",
    Status.CHECKING: "running",
    Status.DELIVERING: "running",
    Status.SUCCEEDED: "done",
    Status.DIED: "fail",
    Status.TIMED_OUT: "fail",
    Status.LIMITED: "warn",
    Status.STOPPED: "stopped",
    Status.NOT_STARTED: "fail",
    Status.EXPIRED: "stopped",
}


def icon(name: str, *, kind: str = "") -> str:
    """Return an icon as HTML; `kind` is s (14 px) or l (20 px). scripts/add-icons adds one."""
    return f'<i class="i i-{text(name)}{f" {kind}" if kind else ""}" aria-hidden="true"></i>'


def mark(state: Mark) -> str:
    """Return the mark of a state as HTML: its shape and its color both tell the state."""
    return f'<i class="st {state}" aria-hidden="true"></i>'
