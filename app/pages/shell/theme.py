"""The only mapping of run statuses to words, tones and icons, and the links to style sheets."""

from __future__ import annotations

from dataclasses import dataclass

from nicegui import ui

from app.domain.lifecycle import LIVE
from app.domain.words import Cause, Status, label_of

TONES: dict[Status, tuple[str, str]] = {
    Status.DELAYED: ("idle", "◷"),
    Status.QUEUED: ("wait", "◷"),
    Status.STARTING: ("acc", "▸"),
    Status.RUNNING: ("acc", "▸"),
    Status.CHECKING: ("acc", "◇"),
    Status.DELIVERING: ("acc", "▴"),
    Status.SUCCEEDED: ("go", "✓"),
    Status.DIED: ("stop", "✕"),
    Status.TIMED_OUT: ("wait", "◔"),
    Status.LIMITED: ("wait", "◑"),
    Status.STOPPED: ("idle", "■"),
    Status.NOT_STARTED: ("stop", "∅"),
    Status.EXPIRED: ("idle", "∅"),
}
RUNS = '<link rel="stylesheet" href="/assets/runs.css">'
ISSUES = (
    '<link rel="stylesheet" href="/assets/issues.css">'
    '<script src="/assets/issues.js" defer></script>'
)
HOME = '<link rel="stylesheet" href="/assets/home.css">'
CHANGE = '<link rel="stylesheet" href="/assets/change.css">'
PROJECTS = '<link rel="stylesheet" href="/assets/projects.css">'
DIFF = '<link rel="stylesheet" href="/assets/diff.css">'
DIFF_KEYS = '<script src="/assets/diff.js" defer></script>'
CHARTS = '<link rel="stylesheet" href="/assets/charts.css">'
LOG = '<script src="/assets/run_log.js" defer></script>'
RUN_LIST = (
    '<link rel="stylesheet" href="/assets/run_list.css">'
    '<script src="/assets/run_list.js" defer></script>'
)
TYPED = '<script src="/assets/typed.js" defer></script>'


@dataclass(frozen=True)
class Look:
    """The look of a status: word, tone (go, wait, stop, acc or idle) and one-character icon."""

    word: str
    tone: str
    icon: str


def look_of(status: Status, cause: Cause | None = None) -> Look:
    """Return the look of a run with this status and cause."""
    tone, icon = TONES[status]
    return Look(label_of(status, cause), tone, icon)


def is_live(status: Status) -> bool:
    """Return True for a status in which an agent is working or about to start."""
    return status in LIVE


def dress_inbox() -> None:
    """Link the style sheets of the inbox and of the cards below it, joined into one."""
    ui.add_head_html(HOME)


def dress_change() -> None:
    """Link assets/change.css."""
    ui.add_head_html(CHANGE)


def dress_typed() -> None:
    """Link assets/typed.js, which keeps half-typed text of fields with `data-typed`."""
    ui.add_head_html(TYPED)


def dress_projects() -> None:
    """Link assets/projects.css, which styles cards, rows and a project's buttons."""
    ui.add_head_html(PROJECTS)


def dress_runs() -> None:
    """Link assets/runs.css, which styles runs and the run form."""
    ui.add_head_html(RUNS)


def dress_run_list() -> None:
    """Link assets/run_list.css and assets/run_list.js."""
    ui.add_head_html(RUN_LIST)


def dress_issues() -> None:
    """Link assets/issues.css, and assets/issues.js for the board."""
    ui.add_head_html(ISSUES)


def dress_diff() -> None:
    """Link assets/diff.css and assets/diff.js."""
    ui.add_head_html(DIFF)
    ui.add_head_html(DIFF_KEYS)


def dress_charts() -> None:
    """Link assets/charts.css."""
    ui.add_head_html(CHARTS)


def dress_log() -> None:
    """Link assets/run_log.js."""
    ui.add_head_html(LOG)
