"""Status to word, tone and icon: the one place (tones are classes of assets/theme.css)."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.lifecycle import LIVE
from app.domain.words import Cause, Status, label_of


@dataclass(frozen=True)
class Look:
    """How a status looks: its word, its tone (go, wait, stop, acc or idle) and a one-sign icon."""

    word: str
    tone: str
    icon: str


TONES: dict[Status, tuple[str, str]] = {
    Status.DELAYED: ("idle", "◷"),
    Status.QUEUED: ("wait", "◷"),
    Status.STARTING: ("acc", "▸"),
    Status.RUNNING: ("acc", "▸"),
    Status.DELIVERING: ("acc", "▴"),
    Status.SUCCEEDED: ("go", "✓"),
    Status.DIED: ("stop", "✕"),
    Status.TIMED_OUT: ("wait", "◔"),
    Status.LIMITED: ("wait", "◑"),
    Status.STOPPED: ("idle", "■"),
    Status.NOT_STARTED: ("stop", "∅"),
    Status.EXPIRED: ("idle", "∅"),
}


def look_of(status: Status, cause: Cause | None = None) -> Look:
    """How a run with this status and cause is shown."""
    tone, icon = TONES[status]
    return Look(label_of(status, cause), tone, icon)


def is_live(status: Status) -> bool:
    """True while an agent works or is about to."""
    return status in LIVE
