"""Status to word, tone and icon: the one place (tones are classes of assets/theme.css)."""

from __future__ import annotations

from dataclasses import dataclass

from nicegui import ui

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


RUNS = '<link rel="stylesheet" href="/assets/runs.css">'
ISSUES = '<link rel="stylesheet" href="/assets/issues.css">'
CHARTS = '<link rel="stylesheet" href="/assets/charts.css">'
LOG = '<script src="/assets/run_log.js" defer></script>'

FORM = '<script src="/assets/draft.js" defer></script>'


def dress_form() -> None:
    """Link assets/runs.css, where the form's look is, and assets/draft.js."""
    ui.add_head_html(RUNS)
    ui.add_head_html(FORM)


def dress_runs() -> None:
    """Link assets/runs.css."""
    ui.add_head_html(RUNS)


def dress_issues() -> None:
    """Link assets/issues.css."""
    ui.add_head_html(ISSUES)


def dress_charts() -> None:
    """Link assets/charts.css."""
    ui.add_head_html(CHARTS)


def dress_log() -> None:
    """Link assets/run_log.js."""
    ui.add_head_html(LOG)
