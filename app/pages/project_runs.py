"""The runs tab of a project: its newest runs."""

from __future__ import annotations

from datetime import datetime

from nicegui import ui

from app.domain.ids import shorten
from app.pages.components.countdown import ago_html, since_html
from app.pages.components.markup import clean, text
from app.pages.components.status_pill import status_pill_html
from app.pages.components.tabs import Tabs
from app.pages.visit import Visit
from app.state.durations import took
from app.state.wire import ProjectOut, RunOut, RunsPage

ROWS = 20
HEAD = "".join(f"<th>{w}</th>" for w in ("Run", "Status", "What", "Branch", "Started", "Took"))


class RunsTab:
    """A table that follows the project's runs."""

    def __init__(self, visit: Visit, project: ProjectOut, tabs: Tabs) -> None:
        self._visit = visit
        self._id = project.id
        self._table = ui.html("", sanitize=clean)
        ui.link("All runs of this project", f"/runs?project_id={project.id}").classes("under")
        self.load = visit.looker(
            lambda: visit.api.runs(project_id=project.id, limit=ROWS), self._show
        )
        visit.on("run.changed", self._follow)
        visit.on_return(self.load)

    def _show(self, page: RunsPage) -> None:
        self._table.set_content(runs_html(page.items, self._visit.now()))

    async def _follow(self, run: RunOut) -> None:
        if run.project_id == self._id:
            await self.load()


def runs_html(runs: list[RunOut], now: datetime) -> str:
    """Runs as a table, newest first."""
    if not runs:
        return '<div class="card none">No runs yet.</div>'
    rows = "".join(_row(run, now) for run in runs)
    return (
        f'<div class="wrap"><table class="t fold"><thead><tr>{HEAD}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _row(run: RunOut, now: datetime) -> str:
    number = f"#{run.issue} " if run.issue else ""
    words = f"{number}{run.title}".strip() or run.trigger
    return (
        f'<tr><td class="m"><a href="/runs/{text(run.id)}">{text(shorten(run.id))}</a></td>'
        f"<td>{status_pill_html(run.status, run.cause)}</td>"
        f'<td class="wide"><a href="/runs/{text(run.id)}">{text(words)}</a></td>'
        f'<td class="m">{text(run.work_branch)}</td>'
        f'<td class="sub">{ago_html(run.started_at or run.created_at, now)}</td>'
        f'<td class="sub">{_took(run, now)}</td></tr>'
    )


def _took(run: RunOut, now: datetime) -> str:
    if run.started_at is None:
        return ""
    if run.ended_at is None:
        return since_html(run.started_at, now)
    return took((run.ended_at - run.started_at).total_seconds())
