"""The runs tab of a project: its newest runs, live, as on the page of all runs."""

from __future__ import annotations

from nicegui import ui

from app.pages.runs_list import RunsList
from app.pages.visit import Visit
from app.state.run_board import RunFilters
from app.state.wire import ProjectOut

ROWS = 20


class RunsTab:
    """A table that follows the project's runs."""

    def __init__(self, visit: Visit, project: ProjectOut) -> None:
        runs = RunsList(visit, RunFilters(project_id=project.id), rows=ROWS)
        runs.draw(when_empty="No runs yet. Press New run.")
        ui.link("All runs of this project", f"/runs?project={project.id}").classes("under")
        self.load = runs.look
