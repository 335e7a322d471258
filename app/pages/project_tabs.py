"""The tabs of a project, with how much stands behind each: `Runs 41`."""

from __future__ import annotations

from collections.abc import Sequence

from app.pages.components.tabs import Tabs
from app.pages.visit import Visit
from app.state.wire import ProjectCounts, ProjectOut


class ProjectTabs:
    """Tabs that count; asked anew when the project changes."""

    def __init__(
        self,
        visit: Visit,
        project: ProjectOut,
        names: Sequence[str],
        chosen: str,
        *,
        about: str,
        path: str = "",
    ) -> None:
        self._id = project.id
        self._names = names
        self._tabs = Tabs(names, chosen, about=about, path=path)
        self.look = visit.looker(lambda: visit.api.counts(project.id), self._show)
        visit.on("project.changed", self._follow)
        visit.on_return(self.look)

    async def _follow(self, project: ProjectOut) -> None:
        if project.id == self._id:
            await self.look()

    def _show(self, counts: ProjectCounts) -> None:
        found = {
            "Issues": counts.open_issues,
            "Runs": counts.runs,
            "Changes": counts.open_changes,
        }
        for name in self._names:
            number = found.get(name)
            if number is not None:
                self._tabs.count(name, number)
