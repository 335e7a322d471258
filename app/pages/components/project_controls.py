"""A project's buttons as one element (assets/project_controls.js), and what a press does."""

from __future__ import annotations

from typing import Any

from nicegui import events, ui

from app.pages.components.afk_start import AfkStart
from app.pages.components.plain_sight import plain
from app.pages.components.project_menu import ProjectMenu
from app.pages.visit import Visit
from app.state.card_words import Act, Press, presses_of
from app.state.project_acts import ProjectActs
from app.state.wire import ProjectOut


class ProjectControls(ui.element, component="../../../assets/project_controls.js"):
    """Start, Auto, Reset and the `⋯` menu of one project.

    The event `press` carries the test id of what was pressed.
    """

    MARK = "project-controls"
    TAG = "div"

    def __init__(self, visit: Visit, acts: ProjectActs, project: ProjectOut) -> None:
        super().__init__()
        self._visit = visit
        self._acts = acts
        self._id = project.id
        self._start = AfkStart(visit, acts, project.id)
        self._menu = ProjectMenu(visit, acts, self._start, project.id)
        fixed = {"tag": self.TAG, "data-testid": self.MARK, "data-project": project.id}
        self.props.update(fixed | self.told(project))
        self.mark(self.MARK)
        self.on("press", self._press)

    def show(self, project: ProjectOut) -> None:
        """Draw the project as it is now."""
        told = self.told(project)
        if any(self.props.get(name) != value for name, value in told.items()):
            self.props.update(told)

    def told(self, project: ProjectOut) -> dict[str, Any]:
        """The properties of assets/project_controls.js that change with the project."""
        presses = presses_of(project, self._acts.busy(project.id))
        return {
            "presses": tuple(_as_list(press) for press in presses),
            "about": f"More about {plain(project.name)}",
        }

    async def _press(self, event: events.GenericEventArguments) -> None:
        match event.args:
            case "card-menu":
                with self:
                    self._menu.turn()
            case Act.START:
                await self._start.start()
            case Act.AUTO:
                await self._acts.toggle(self._id)
            case Act.RESET:
                await self._acts.reset(self._id)
            case Act.UNDO:
                await self._acts.undo_containment(self._id)
            case Act.DISMISS:
                await self._acts.dismiss_notice(self._id)


def _as_list(press: Press) -> tuple[str | bool, ...]:
    # a tuple: NiceGUI watches lists for changes, which costs more than all the rest of a card
    tone = f"{press.tone} {'weak' if press.is_weak else ''}".strip()
    return (press.act, press.head, press.rest, press.tail, press.note, tone, press.is_busy)
