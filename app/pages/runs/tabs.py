"""The tabs of a run's page: its log, its diff and the details."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui

from app.api.schemas import RunOut
from app.pages.components.markup import clean

NAMES = ("log", "diff", "details")


class RunTabs:
    """A row of tabs over panels; `holder` gets the class `view-…` of the chosen one."""

    def __init__(self, holder: ui.element, chosen: str) -> None:
        self._holder = holder
        self._panels: dict[str, ui.element] = {}
        self._openers: dict[str, Callable[[], Awaitable[None]]] = {}
        self._labels: dict[str, ui.html] = {}
        self._diff_size = ""
        with ui.element("div").classes("tabs").props('role=tablist aria-label="Run"'):
            self._buttons = {name: self._button(name) for name in NAMES}
        self._chosen = chosen
        self._mark()

    def panel(self, name: str) -> ui.element:
        """Create the panel for a tab's content."""
        panel = ui.element("div").classes(f"panel {name}-panel").props("role=tabpanel")
        self._buttons[name].props(f"aria-controls={panel.html_id}")
        panel.props(f"aria-labelledby={self._buttons[name].html_id}")
        self._panels[name] = panel
        return panel

    def when_opened(self, name: str, opener: Callable[[], Awaitable[None]]) -> None:
        """Call `opener()` each time a tab is chosen."""
        self._openers[name] = opener

    def set_diff_size(self, additions: int, deletions: int) -> None:
        """Show the size of the diff in its tab."""
        sizes = f'<span class="add">+{additions}</span> <span class="del">−{deletions}</span>'
        words = f"Diff {sizes}" if additions or deletions else "Diff"
        if words != self._diff_size:
            self._diff_size = words
            self._labels["diff"].set_content(words)

    def show(self, run: RunOut) -> None:
        """Show the size of the run's delivery."""
        if run.delivery is not None:
            self.set_diff_size(run.delivery.additions, run.delivery.deletions)

    async def choose(self, name: str) -> None:
        """Show a tab's panel."""
        self._chosen = name
        self._mark()
        if name in self._openers:
            await self._openers[name]()

    def _button(self, name: str) -> ui.element:
        with ui.element("button").classes("tab").props("type=button role=tab") as made:
            self._labels[name] = ui.html(name.capitalize(), sanitize=clean, tag="span")
        made.mark(f"tab-{name}").props["data-tab"] = name
        made.on("click", lambda: self.choose(name))
        return made

    def _mark(self) -> None:
        self._holder.classes(remove=" ".join(f"view-{name}" for name in NAMES))
        self._holder.classes(f"view-{self._chosen}")
        for name, made in self._buttons.items():
            made.props(f"aria-selected={'true' if name == self._chosen else 'false'}")
