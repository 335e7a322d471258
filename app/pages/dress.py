"""What the pages about runs load besides the common look: their styles and scripts."""

from __future__ import annotations

from nicegui import ui

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
