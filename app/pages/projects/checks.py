"""Checks of a project on its page: the rows of its settings, and the card that suggests some."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from nicegui import ui
from nicegui.events import ValueChangeEventArguments

from app.api.client.client import ApiProblem, NoAnswer
from app.api.schemas import ProjectChange, ProjectOut
from app.domain.projects.checks import MAX_CHECK_NAME, MOST_CHECKS
from app.pages.components.buttons import button
from app.pages.components.fields import Field, text_field
from app.pages.components.markup import clean, plain, plain_html, text
from app.pages.components.testids import testid
from app.pages.shell.page_session import PageSession
from app.state.projects.check_rows import CheckRow, command_words, rows_of, words_of_rows

QUESTION = "Run these before delivery?"
ASKED = (
    "Found in the repository. A run is delivered once they pass; if one fails, its agent is told "
    "what failed. You can change them in Settings."
)
UNREQUIRED = "If a check is not required, its failure is shown but does not block delivery."


@dataclass(frozen=True)
class Changed:
    """The new text of the rows, as fields report a change."""

    value: str


class CheckRows(ui.element):
    """The rows of a project's checks; its value is their text, as `words_of_rows` writes it."""

    def __init__(self, words: str, about: str) -> None:
        super().__init__("div")
        self.classes("check-rows").props("role=group tabindex=-1")
        self.props["aria-label"] = about
        self._listeners: list[Callable[[Changed], object]] = []
        self._rows = rows_of(words)
        with self:
            self._list = ui.element("div")
            self._add = button("Add a check", self._add_row, kind="small", mark="add-check")
        self._draw()

    @property
    def value(self) -> str:
        """The text of the rows; empty rows are left out."""
        return words_of_rows(self._rows)

    def set_value(self, words: str) -> None:
        """Show other rows."""
        if words != self.value:
            self._rows = rows_of(words)
            self._draw()

    def on_value_change(self, listener: Callable[[Changed], object]) -> None:
        """Call `listener` after each change that a person makes."""
        self._listeners.append(listener)

    def _draw(self) -> None:
        self._list.clear()
        with self._list:
            for row in self._rows:
                self._draw_row(row)
        self._add.set_visibility(len(self._rows) < MOST_CHECKS)

    def _draw_row(self, row: CheckRow) -> None:
        with testid(ui.element("div").classes("check-row"), "check-row"):
            name = text_field("Name", row.name, placeholder="tests", mark="check-name")
            name.control.props["maxlength"] = MAX_CHECK_NAME
            name.control.on_value_change(partial(self._put, row, "name"))
            line = text_field(
                "Command", row.command, placeholder="make test", mono=True, mark="check-command"
            )
            line.control.on_value_change(partial(self._put, row, "command"))
            timeout = text_field("Timeout", row.timeout, mark="check-timeout")
            timeout.control.on_value_change(partial(self._put, row, "timeout"))
            with ui.element("div").classes("check-acts"):
                switch = testid(ui.switch("Required", value=row.required), "check-required")
                switch.props("dense").tooltip(UNREQUIRED)
                switch.on_value_change(partial(self._require, row))
                ui.element("span").classes("sp")
                if row is not self._rows[0]:
                    move = button(
                        "↑", partial(self._move, row), kind="ico small", mark="move-check"
                    )
                    move.props["aria-label"] = f"Move {plain(row.name) or 'this check'} up"
                button("Remove", partial(self._remove, row), kind="small", mark="remove-check")

    def _put(self, row: CheckRow, name: str, change: Changed) -> None:
        setattr(row, name, change.value or "")
        self._notify()

    def _require(self, row: CheckRow, change: ValueChangeEventArguments[bool | None]) -> None:
        row.required = bool(change.value)
        self._notify()

    def _add_row(self) -> None:
        self._rows.append(CheckRow())
        self._draw()

    def _remove(self, row: CheckRow) -> None:
        self._rows.remove(row)
        self._draw()
        self._notify()

    def _move(self, row: CheckRow) -> None:
        place = self._rows.index(row)
        self._rows.insert(place - 1, self._rows.pop(place))
        self._draw()
        self._notify()

    def _notify(self) -> None:
        for listener in self._listeners:
            listener(Changed(self.value))


def checks_field(label: str, words: str, *, hint: str, mark: str) -> Field:
    """Create the editor of a project's checks."""
    field = Field(label, hint=hint)
    with field.box:
        control = CheckRows(words, label)
    field.hold(control, mark=mark, is_group=True)
    control.on_value_change(lambda _: field.clear())
    return field


class SuggestedChecks:
    """The card that asks if suggested checks are to run, until somebody answers it."""

    def __init__(self, session: PageSession, project: ProjectOut) -> None:
        self._session, self._id = session, project.id
        with testid(ui.element("div").classes("card asks"), "suggested-checks") as self._box:
            ui.html(text(QUESTION), sanitize=clean, tag="h2")
            self._list = ui.html("", sanitize=clean)
            ui.html(text(ASKED), sanitize=clean).classes("sub")
            with ui.element("div").classes("line"):
                button("Keep", self._keep, kind="small pri", mark="keep-checks")
                button("No", self._decline, kind="small", mark="decline-checks")
        self.show(project)

    def show(self, project: ProjectOut) -> None:
        """Show what is suggested, or nothing."""
        suggested = project.suggested_checks if project.archived_at is None else []
        rows = "".join(
            f"<li><code>{plain_html(command_words(one.command))}</code></li>" for one in suggested
        )
        self._list.set_content(f"<ul>{rows}</ul>")
        self._box.set_visibility(bool(suggested))

    async def _keep(self) -> None:
        project = self._session.board.get(self._id)
        if project is not None and project.suggested_checks:
            kept = [one.model_dump() for one in project.suggested_checks]
            await self._answer(ProjectChange.model_validate({"checks": kept}), "Kept.")

    async def _decline(self) -> None:
        await self._answer(
            ProjectChange(suggested_checks=[]), "No checks will run before delivery."
        )

    async def _answer(self, change: ProjectChange, words: str) -> None:
        try:
            project = await self._session.api.change_project(self._id, change)
        except (ApiProblem, NoAnswer) as problem:
            self._session.refuse(problem)
            return
        self._session.board.apply(project)
        self._session.notify(words)
