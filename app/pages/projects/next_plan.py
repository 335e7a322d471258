"""The next sweep's plan for a project, and the reason why each other issue waits."""

from __future__ import annotations

from nicegui import ui

from app.api.schemas import NextPlan, ProjectOut
from app.pages.components.markup import clean, plain_html
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession


class NextSweep:
    """One line that unfolds; fetched again when the project or the number of live runs changes."""

    def __init__(self, session: PageSession, project: ProjectOut) -> None:
        self._session = session
        self._id = project.id
        self._live_runs = session.board.live_runs
        self._look = session.looker(lambda: session.api.next_plan(project.id), self._show)
        with ui.element("details").classes("plan") as self._box:
            self._line = ui.html("", sanitize=clean, tag="summary")
            self._holds = ui.html("", sanitize=clean)
        testid(self._box, "next-plan").set_visibility(False)
        session.on("project.changed", self._follow)
        session.on_return(self.refetch)

    async def refetch(self) -> None:
        """Fetch and show the plan; an archived project has no next sweep."""
        project = self._session.board.get(self._id)
        is_swept = project is not None and project.archived_at is None
        self._box.set_visibility(is_swept)
        if is_swept:
            await self._look()

    async def _follow(self, project: ProjectOut) -> None:
        live_runs, before = self._session.board.live_runs, self._live_runs
        self._live_runs = live_runs
        # all projects share the slots for live runs
        if project.id == self._id or live_runs != before:
            await self.refetch()

    def _show(self, plan: NextPlan) -> None:
        words = plan.because if plan.would else f"would hold — {plan.because}"
        self._line.set_content(f"<span>Next sweep: {plain_html(words)}</span>")
        self._holds.set_content(holds_html(plan))
        self._box.classes(add="" if plan.holds else "flat", remove="flat" if plan.holds else "")


def holds_html(plan: NextPlan) -> str:
    """Return each waiting issue with its reason: `#14: blocked by #12`."""
    rows = (f"<li>#{one.issue}: {plain_html(one.because)}</li>" for one in plan.holds)
    return f'<ul class="holds" aria-label="Why issues wait">{"".join(rows)}</ul>'
