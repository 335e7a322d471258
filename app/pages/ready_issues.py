"""Issues (`/issues`): how many each project has ready, and the way to them."""

from __future__ import annotations

from nicegui import ui

from app.pages.addresses import page_at
from app.pages.components.buttons import link_button
from app.pages.components.marks import testid
from app.pages.components.markup import clean, text
from app.pages.components.plain_sight import plain_html
from app.pages.components.project_card import status_html
from app.pages.frame import frame
from app.pages.visit import Visit
from app.state.card_words import sentence_of
from app.state.door import Door
from app.state.wire import ProjectOut

ROWS = 50


def register_ready_issues(door: Door) -> None:
    """Define `/issues`."""

    @page_at("/issues")
    async def issues_page() -> None:
        visit = await Visit.open(door)
        with frame(visit, title="Issues", active="issues"):
            ReadyIssues(visit)


class ReadyIssues:
    """A row for each project, by name; what changes is changed in place."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._rows: dict[str, ui.html] = {}
        with ui.element("div").classes("card none") as self._none:
            ui.html("No projects yet. Add one, and its issues are here.", sanitize=clean)
            link_button("Add project", "/projects/add")
        self._list = ui.element("div").classes("list").on("over", self._draw_all)
        self._rest = ui.html("", sanitize=clean).classes("sub")
        self._draw_all()
        visit.board.on_change(self._draw)

    def _draw_all(self) -> None:
        self._draw({project.id for project in self._visit.board.listing()})

    def _draw(self, changed: set[str]) -> None:
        projects = self._visit.board.listing()
        shown = {project.id: project for project in projects[:ROWS]}
        for gone in self._rows.keys() - shown.keys():
            self._rows.pop(gone).delete()
        for place, project in enumerate(shown.values()):
            self._place(place, project, is_news=project.id in changed)
        self._none.set_visibility(not shown)
        self._list.set_visibility(bool(shown))
        more = len(projects) - len(shown)
        self._rest.set_content(f'and {more} more, each <a href="/">on its card</a>' if more else "")

    def _place(self, place: int, project: ProjectOut, *, is_news: bool) -> None:
        row = self._rows.get(project.id)
        if row is None:
            is_news = True
            with self._list:
                row = self._rows[project.id] = ui.html("", sanitize=clean).classes("item")
            testid(row, "project-issues", project=project.id)
        if is_news:
            row.set_content(row_html(project, status_html(project, self._visit.now())))
        if self._list.default_slot.children[place] is not row:
            row.move(target_index=place)


def row_html(project: ProjectOut, status: str) -> str:
    """A project's name, what of it is ready, and how it stands."""
    href = f"/projects/{text(project.id)}/issues"
    name = f'<div><a href="{href}">{plain_html(project.name)}</a></div>'
    words = f'<div class="sub">{plain_html(sentence_of(project))}</div>'
    ready = f'<b class="ready">{ready_words(project.ready_count)}</b>'
    link = f'<a class="btn small" href="{href}">Open issues</a>'
    return f'<div class="grow">{name}{words}</div>{ready}{status}{link}'


def ready_words(count: int | None) -> str:
    """`3 ready`; what is not known is not shown as none."""
    return "ready: not known" if count is None else f"{count} ready" if count else "none ready"
