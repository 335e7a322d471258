"""The choice of one project, kept in the address."""

# stands alone: the only script of the page
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from app.pages.components.markup import clean, plain
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession

CHOOSES = """(event) => {
  const address = new URL(location.href), chosen = event.target.value;
  if (chosen) address.searchParams.set("project", chosen);
  else address.searchParams.delete("project");
  history.replaceState(history.state, "", address);
  emit(chosen);
}"""


class ProjectFilter:
    """`Project All`; it lists the projects that there are."""

    def __init__(
        self, session: PageSession, chosen: str | None, choose: Callable[[str | None], None]
    ) -> None:
        self._session, self._chosen, self._choose = session, chosen, choose
        self._listed: list[tuple[str, str]] = []
        with ui.element("label").classes("btn bare choice") as self._box:
            ui.html("Project", sanitize=clean, tag="span")
            self._select = testid(ui.element("select"), "filter-project")
            self._select.on("change", self._take, js_handler=CHOOSES)
        self.show()

    def show(self) -> None:
        """List the projects again if they have changed."""
        listed = [(one.id, one.name) for one in self._session.board.listing()]
        if listed == self._listed:
            return
        self._listed = listed
        self._box.set_visibility(len(listed) > 1)
        self._select.clear()
        with self._select:
            for project_id, name in [("", "All"), *listed]:
                option = TextElement(tag="option", text=plain(name))
                option.props["value"] = project_id
                if project_id == (self._chosen or ""):
                    option.props("selected")

    def _take(self, event: Any) -> None:
        self._chosen = str(event.args) or None
        self._choose(self._chosen)
