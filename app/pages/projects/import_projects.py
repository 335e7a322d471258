"""Import (`/projects/import`): the repositories of a forge, added as projects many at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui
from nicegui.events import ValueChangeEventArguments

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import ForgeOut, HostedOut
from app.domain.projects.settings import PROJECT_SETTINGS
from app.pages.components.buttons import button, link_button
from app.pages.components.fields import choice_field, text_field
from app.pages.components.markup import clean, counted, plain, plain_html, text
from app.pages.components.testids import testid
from app.pages.shell.frame import forbidden, frame
from app.pages.shell.page_session import PageSession, page_at
from app.state.page.connection import Connection
from app.state.projects.import_list import PART, ImportList, ImportRow

NO_FORGE = (
    '<div class="empty"><p><b>No forge yet</b></p><p>Add one with a token, and its repositories '
    'are listed here.</p><a class="btn pri" href="/settings?tab=Forges">Add a forge</a></div>'
)


def register(connection: Connection) -> None:
    """Define `/projects/import`."""

    @page_at("/projects/import")
    async def import_page(forge: str = "") -> None:
        session = await PageSession.open(connection)
        if forbidden(session, "add_project", active="projects"):
            return
        forges = await session.api.forges()
        crumbs = [("Projects", "/projects")]
        title = "Import repositories"
        with frame(session, title=title, active="projects", crumbs=crumbs):
            if not forges:
                ui.html(NO_FORGE, sanitize=clean)
                return
            named = next((one for one in forges if forge in (one.id, one.name)), forges[0])
            screen = ImportScreen(session, forges, named)
        await screen.load()


class ImportScreen:
    """The list with its filter; what is chosen is added one after the other."""

    def __init__(self, session: PageSession, forges: list[ForgeOut], chosen: ForgeOut) -> None:
        self._session, self._forge = session, chosen
        self._forges = {one.id: one for one in forges}
        self._state = ImportList()
        self._rows: dict[str, _Row] = {}
        self.load = session.looker(self._ask, self._take)
        with ui.element("div").classes("form import"):
            self._draw_fields()
            self._said = testid(ui.html("", sanitize=clean), "import-said")
            with ui.element("div").classes("line"):
                self._all = button("Choose all", self._choose_all, kind="small", mark="import-all")
                self._count = ui.html("", sanitize=clean, tag="span").classes("mut num")
            self._list = testid(ui.element("div").classes("list"), "import-list")
            self._list.props('role=list aria-label="Repositories"')
            self._more = button("Show more", self._show_more, kind="small quiet")
            with ui.element("div").classes("foot sticky"):
                self._progress = testid(ui.html("", sanitize=clean, tag="span"), "import-progress")
                self._progress.props("role=status").classes("mut num")
                ui.element("span").classes("sp")
                link_button("Projects", "/projects")
                self._add = button("Import", self._submit, kind="pri", mark="import-submit")
        self._show()

    def _draw_fields(self) -> None:
        if len(self._forges) > 1:
            names = {one.id: plain(one.name) for one in self._forges.values()}
            field = choice_field("Forge", names, self._forge.id, mark="import-forge")
            field.control.on_value_change(self._change_forge)
        self._agent = text_field(
            "Agent of the new projects",
            placeholder="claude",
            hint=PROJECT_SETTINGS["agent"].hint,
            mark="import-agent",
        )
        self._filter = text_field("Filter", placeholder="owner/name", mark="import-filter")
        self._filter.control.props("debounce=150").on_value_change(self._find)

    # --- loading -------------------------------------------------------------------------------

    async def _ask(self) -> list[HostedOut] | str:
        try:
            return await self._session.api.hosted(self._forge.id)
        except ApiProblem as problem:
            return problem.detail
        except NoAnswer as silence:
            return str(silence)

    def _take(self, found: list[HostedOut] | str) -> None:
        if isinstance(found, str):
            again = f'<a href="/projects/import?forge={text(self._forge.id)}">Try again</a>'
            self._said.set_content(f'<div class="banner stop">{plain_html(found)} {again}</div>')
            return
        self._said.set_content("")
        self._state.load(found)
        self._show()

    def _change_forge(self, event: ValueChangeEventArguments[Any]) -> None:
        chosen = self._forges.get(str(event.value))
        if chosen is not None and not self._state.is_adding:
            self._session.go(f"/projects/import?forge={chosen.id}")

    # --- showing -------------------------------------------------------------------------------

    def _show(self) -> None:
        if self._session.client.is_deleted:
            return
        state = self._state
        shown = {row.found.full_name: row for row in state.shown}
        for gone in self._rows.keys() - shown.keys():
            self._rows.pop(gone).element.delete()
        for place, (name, row) in enumerate(shown.items()):
            known = self._rows.get(name)
            if known is None:
                with self._list:
                    known = self._rows[name] = _Row(state, self._show_foot)
            known.show(row, is_busy=state.is_adding)
            if self._list.default_slot.children[place] is not known.element:
                known.element.move(self._list, place)
        matching = len(state.matching)
        self._count.set_content(text(f"{matching} of {state.count} repositories"))
        self._more.set_visibility(matching > len(shown))
        self._all.set_visibility(any(row.may_add for row in shown.values()))
        self._show_foot()

    def _show_foot(self) -> None:
        state, count = self._state, len(self._state.chosen)
        words = f"Import {counted(count, 'project')}" if count else "Import"
        if state.is_adding:
            words = "Importing…"
        self._add.set_text(words)
        self._add.set_enabled(bool(count) and not state.is_adding)
        told = ""
        if state.asked:
            refused = sum(row.is_refused for row in state.matching)
            told = f"{state.added} of {state.asked} added"
            told += f" · {refused} refused" if refused else ""
        self._progress.set_content(text(told))

    # --- acting --------------------------------------------------------------------------------

    def _find(self) -> None:
        self._state.text = self._filter.control.value or ""
        self._state.limit = PART
        self._show()

    def _show_more(self) -> None:
        self._state.limit += PART
        self._show()

    def _choose_all(self) -> None:
        if not self._state.is_adding:
            self._state.choose_matching()
            self._show()

    async def _submit(self) -> None:
        if self._state.is_adding or not self._state.chosen:
            return
        taken = [one.name for one in self._session.board.listing(archived=True)]
        agent = (self._agent.control.value or "").strip()
        if not agent:
            self._agent.refuse("Choose an agent, such as claude.")
            self._agent.go_to()
            return
        await self._state.add(
            self._forge.id, agent, taken, self._session.api.add_project, self._show
        )
        state = self._state
        self._session.announce(f"{state.added} of {state.asked} added")


class _Row:
    """A repository with its checkbox, or with why it cannot be chosen."""

    def __init__(self, state: ImportList, follow: Callable[[], None]) -> None:
        self._state, self._follow = state, follow
        self._name = ""
        self._seen: object = None
        self.element = testid(ui.element("label").classes("item"), "import-row")
        self.element.props("role=listitem")
        with self.element:
            self._box = ui.checkbox(on_change=self._choose).props("dense")
            self._words = ui.html("", sanitize=clean).classes("grow")

    def show(self, row: ImportRow, *, is_busy: bool) -> None:
        """Show the repository's state."""
        found, name = row.found, row.found.full_name
        is_chosen = self._state.is_chosen(name)
        seen = (row.project_id, row.said, row.is_refused, is_chosen, is_busy, found)
        if seen == self._seen:
            return
        self._seen, self._name = seen, name
        self.element.props["data-repository"] = name
        self._box.props["aria-label"] = plain(name)
        self._box.set_enabled(row.may_add and not is_busy)
        self._box.set_value(is_chosen)
        self._words.set_content(_row_html(row))
        self.element.update()

    def _choose(self) -> None:
        if self._name and self._box.value != self._state.is_chosen(self._name):
            self._state.choose(self._name, is_chosen=bool(self._box.value))
            self._follow()


def _row_html(row: ImportRow) -> str:
    name = f"<b>{plain_html(row.found.full_name)}</b>"
    if row.project_id is not None:
        words = plain_html(row.said or "Is a project")
        link = f'<a href="/projects/{text(row.project_id)}">{words}</a>'
        return f'<div class="line">{name}<span class="sp"></span>{link}</div>'
    said, tone = row.said, "stop" if row.is_refused else "sub"
    if not said and row.found.because:
        said = f"Cannot be added: {row.found.because}"
    words = f'<div class="{tone}">{plain_html(said)}</div>' if said else ""
    return f"{name}{words}"
