"""The settings tab of a project: a form, what cannot be changed, and Archive."""

from __future__ import annotations

from nicegui import ui

from app.pages.components.archive_button import archive_button, unarchive_button
from app.pages.components.marks import testid
from app.pages.components.markup import clean, text
from app.pages.dress import dress_runs
from app.pages.project_settings_form import SettingsFormView
from app.pages.visit import Visit
from app.state.project_settings import settings_in_words
from app.state.wire import ProjectOut

ARCHIVED = "This project is archived: its settings can be read, not changed."
ARCHIVING = (
    "No run can be started in it any more, and its card goes behind Show archived. Its runs, "
    "issues and logs stay, and Unarchive takes it back."
)


class SettingsTab:
    """What the project was told, to change; of an archived one, to read."""

    def __init__(self, visit: Visit, project: ProjectOut) -> None:
        self._visit, self._id = visit, project.id
        dress_runs()
        with ui.element("div").classes("settings-tab"):
            self._form_box = ui.element("div").classes("grow")
            with self._form_box:
                self._form = SettingsFormView(visit, project)
            with ui.element("div").classes("beside"):
                with ui.element("div").classes("banner") as self._note:
                    ui.html(text(ARCHIVED), sanitize=clean, tag="span")
                    ui.element("span").classes("sp")
                    unarchive_button(visit, project.id)
                self._facts = testid(ui.html("", sanitize=clean).classes("card"), "fixed-settings")
                self._archive = ui.element("div").classes("card")
                with self._archive:
                    ui.html("Archive this project", sanitize=clean, tag="h2")
                    ui.html(text(ARCHIVING), sanitize=clean).classes("sub")
                    with ui.element("div").classes("line"):
                        archive_button(visit, project.id)
        self._show(project)
        visit.board.on_change(self._follow)

    async def load(self) -> None:
        """Nothing more to ask for: the project came with its settings."""

    def _follow(self, changed: set[str]) -> None:
        project = self._visit.board.get(self._id)
        if self._id in changed and project is not None and not self._visit.client.is_deleted:
            with self._visit.client:
                self._show(project)
                self._form.follow(project)

    def _show(self, project: ProjectOut) -> None:
        is_archived = project.archived_at is not None
        self._form_box.set_visibility(not is_archived)
        self._archive.set_visibility(not is_archived)
        self._note.set_visibility(is_archived)
        self._facts.set_content(facts_html(settings_in_words(project, only_fixed=not is_archived)))


def facts_html(facts: list[tuple[str, str]]) -> str:
    """Names and values as a list of definitions."""
    rows = "".join(
        f'<dt>{text(name)}</dt><dd class="pre">{text(value)}</dd>' for name, value in facts
    )
    return f'<dl class="facts-list">{rows}</dl>'
