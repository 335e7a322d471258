"""The line on top of the inbox: what ended since the last visit; it opens to the report."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from app.api.schemas.inbox import ProjectReportOut, ReportOfRuns
from app.domain.text.durations import rough_words
from app.pages.components.countdown import day_html
from app.pages.components.icons import icon
from app.pages.components.markup import clean, plain_html, text
from app.pages.components.testids import testid
from app.state.review.inbox_words import cost_words, report_parts

HEADS = ("Project", "Delivered", "Failed", "Waiting", "Agent time", "Cost")
TONES = {"failed": "cs", "waiting for a limit": "cw"}
UNREAD = "What ended since your last visit could not be read."


class NightLine:
    """The line and the report; drawn once, so that an open report stays open."""

    def __init__(self) -> None:
        with ui.element("details").classes("night") as self._box:
            testid(self._box, "night-report")
            with ui.element("summary") as summary:
                testid(summary, "night-report-toggle")
                self._line = ui.html("", sanitize=clean).classes("line")
                ui.html(f"Night report {icon('chevron-down', kind='s')}", sanitize=clean).classes(
                    "more"
                )
            self._table = ui.html("", sanitize=clean)

    def show(self, report: ReportOfRuns | None) -> None:
        """Show a report; None says that it could not be read."""
        if report is None:
            self._line.set_content(text(UNREAD))
            self._fold(has_more=False)
            return
        self._line.set_content(line_html(report))
        self._table.set_content(table_html(report.projects))
        self._fold(has_more=bool(report.projects))

    def _fold(self, *, has_more: bool) -> None:
        self._box.classes(remove="flat") if has_more else self._box.classes("flat")

    def set_visibility(self, *, is_visible: bool) -> None:
        """Show the line, or hide it where nothing can have ended yet."""
        self._box.set_visibility(is_visible)


def line_html(report: ReportOfRuns) -> str:
    """Return the line `Since 22:10: 41 delivered · 6 failed · $61`."""
    parts = [
        f'<span><b class="{TONES.get(what, "")}">{text(count)}</b>{" " * bool(what)}{text(what)}'
        "</span>"
        for count, what in report_parts(report)
    ]
    words = " · ".join(parts) or "<span>nothing has ended</span>"
    return f"<b>Since {day_html(report.since)}:</b> {words}"


def table_html(projects: Sequence[ProjectReportOut]) -> str:
    """Return the report: a row per project."""
    head = "".join(f'<th scope="col">{one}</th>' for one in HEADS)
    rows = "".join(map(_row_html, projects))
    return (
        '<div class="report"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row_html(one: ProjectReportOut) -> str:
    cost = cost_words(one.cost_usd, one.cost_unknown) or "–"
    name = f'<a href="/projects/{text(one.project_id)}">{plain_html(one.project_name)}</a>'
    return (
        f"<tr><td>{name}</td>{_count_html(one.delivered)}{_count_html(one.failed, 'cs')}"
        f"{_count_html(one.waiting_for_limit, 'cw')}"
        f"<td>{text(rough_words(one.agent_seconds))}</td><td>{text(cost)}</td></tr>"
    )


def _count_html(count: int, tone: str = "ink") -> str:
    return f'<td class="{tone if count else ""}">{count}</td>'
