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
from app.state.projects.check_rows import (
    CheckRow,
    WrongField,
    command_words,
    rows_of,
    words_of_rows,
)

QUESTION = "Run these before delivery?"
ASKED = (
    "Found in the repository. A run is delivered once they pass; if one fails, its agent is told "
    "what failed. You can change them in Settings."
)
# after the browser has moved or removed the row, which takes the focus away
FOCUS_WANTED = (
    "requestAnimationFrame(() => document.querySelector('.check-rows [data-wanted]')?.focus())"
)
UNREQUIRED = "If a check is not required, its failure is shown but does not block delivery."


@dataclass(frozen=True)
class Changed:
    """The new text of the rows, as fields report a change."""

    value: str


class CheckRowView:
    """One check of the editor: its fields, and the buttons that move and remove it."""

    def __init__(self, row: CheckRow, rows: CheckRows) -> None:
        self.row, self._rows = row, rows
        with testid(ui.element("div").classes("check-row"), "check-row") as self.box:
            self.box.props("role=group")
            self._draw_fields()
            with ui.element("div").classes("check-acts"):
                switch = testid(ui.switch("Required", value=row.required), "check-required")
                switch.props("dense").tooltip(UNREQUIRED)
                switch.on_value_change(self._require)
                ui.element("span").classes("sp")
                self.up = self._move_button("↑", -1, "move-check")
                self.down = self._move_button("↓", 1, "move-check-down")
                self.remove = button(
                    "Remove", partial(rows.remove_row, self), kind="small", mark="remove-check"
                )
        self._name_parts()

    @property
    def words(self) -> str:
        """The check's name for people, also while it has none."""
        name = plain(self.row.name.strip())
        return f"“{name}”" if name else "the check without a name"

    def refuse(self) -> Field | None:
        """Show what is wrong at its field, and return that field; None if all can be read."""
        for field in self.fields.values():
            field.clear()
        try:
            if not self.row.is_empty:
                self.row.read()
        except WrongField as wrong:
            self.fields[wrong.field].refuse(str(wrong))
            return self.fields[wrong.field]
        return None

    def settle(self, place: int, count: int) -> None:
        """Bring the buttons in line with the row's place; at an end one of them does nothing."""
        for made, is_at_end in ((self.up, place == 0), (self.down, place == count - 1)):
            made.classes(add="off" if is_at_end else "", remove="" if is_at_end else "off")
            made.props["aria-disabled"] = str(is_at_end).lower()
            made.set_visibility(count > 1)

    def _draw_fields(self) -> None:
        row = self.row
        self.fields = {
            "name": text_field("Name", row.name, placeholder="tests", mark="check-name"),
            "command": text_field(
                "Command", row.command, placeholder="make test", mono=True, mark="check-command"
            ),
            "timeout": text_field("Timeout", row.timeout, mark="check-timeout"),
        }
        self.fields["name"].control.props["maxlength"] = MAX_CHECK_NAME
        for name, field in self.fields.items():
            field.control.on_value_change(partial(self._put, name))

    def _move_button(self, sign: str, by: int, mark: str) -> ui.button:
        return button(sign, partial(self._rows.move_row, self, by), kind="ico small", mark=mark)

    def _name_parts(self) -> None:
        self.box.props["aria-label"] = f"Check {self.words}"
        for made, act in ((self.up, "Move {} up"), (self.down, "Move {} down")):
            made.props["aria-label"] = act.format(self.words)
        self.remove.props["aria-label"] = f"Remove {self.words}"

    def _put(self, name: str, change: Changed) -> None:
        setattr(self.row, name, change.value or "")
        if name == "name":
            self._name_parts()
        self._rows.notify()

    def _require(self, change: ValueChangeEventArguments[bool | None]) -> None:
        self.row.required = bool(change.value)
        self._rows.notify()


class CheckRows(ui.element):
    """The rows of a project's checks; its value is their text, as `words_of_rows` writes it.

    `say` has a sentence read aloud: what a press moved or removed is not where the focus is.
    """

    def __init__(self, words: str, about: str, say: Callable[[str], None]) -> None:
        super().__init__("div")
        self.classes("check-rows").props("role=group tabindex=-1")
        self.props["aria-label"] = about
        self._say = say
        self._listeners: list[Callable[[Changed], object]] = []
        self._focused: ui.element | None = None
        with self:
            self._list = ui.element("div")
            self._add = button("Add a check", self._add_row, kind="small", mark="add-check")
        self._draw(words)

    @property
    def value(self) -> str:
        """The text of the rows; empty rows are left out."""
        return words_of_rows(shown.row for shown in self._shown)

    def set_value(self, words: str) -> None:
        """Show other rows."""
        if words != self.value:
            self._draw(words)

    def on_value_change(self, listener: Callable[[Changed], object]) -> None:
        """Call `listener` after each change that a person makes."""
        self._listeners.append(listener)

    def refuse(self) -> Field | None:
        """Show what is wrong in the rows; return the first such field, None if there is none."""
        wrong = [shown.refuse() for shown in self._shown]
        return next((field for field in wrong if field is not None), None)

    def notify(self) -> None:
        """Tell the listeners the present value."""
        for listener in self._listeners:
            listener(Changed(self.value))

    def move_row(self, shown: CheckRowView, by: int) -> None:
        """Move a row up (-1) or down (1); the pressed button keeps the focus."""
        place = self._shown.index(shown) + by
        if not 0 <= place < len(self._shown):
            return
        self._shown.remove(shown)
        self._shown.insert(place, shown)
        shown.box.move(target_index=place)
        self._settle()
        self._focus(shown.up if by < 0 else shown.down)
        self._say(f"{shown.words} is check {place + 1} of {len(self._shown)} now.")
        self.notify()

    def remove_row(self, shown: CheckRowView) -> None:
        """Remove a row; the focus goes to the same button of the next one."""
        place = self._shown.index(shown)
        self._shown.remove(shown)
        shown.box.delete()
        self._settle()
        after = self._shown[place : place + 1] or self._shown[-1:]
        self._focus(after[0].remove if after else self._add)
        self._say(f"Removed {shown.words}.")
        self.notify()

    def _draw(self, words: str) -> None:
        self._list.clear()
        with self._list:
            self._shown = [CheckRowView(row, self) for row in rows_of(words)]
        self._settle()

    def _add_row(self) -> None:
        with self._list:
            self._shown.append(CheckRowView(CheckRow(), self))
        self._shown[-1].fields["name"].control.props("autofocus")
        self._settle()

    def _focus(self, made: ui.element) -> None:
        if self._focused is not None and not self._focused.is_deleted:
            self._focused.props(remove="data-wanted")
        self._focused = made.props("data-wanted")
        # by the client, as the pressed button may be gone
        made.client.run_javascript(FOCUS_WANTED)

    def _settle(self) -> None:
        for place, shown in enumerate(self._shown):
            shown.settle(place, len(self._shown))
        self._add.set_visibility(len(self._shown) < MOST_CHECKS)


class ChecksField(Field):
    """The labeled editor of checks; what is wrong stands in its row, if it is in one."""

    _wrong: Field | None = None

    def refuse(self, sentence: str) -> None:
        """Show an error where it is."""
        self._wrong = self.control.refuse()
        if self._wrong is None:
            super().refuse(sentence)

    def go_to(self) -> None:
        """Move the focus to the error."""
        if self._wrong is None:
            super().go_to()
        else:
            self._wrong.go_to()


def checks_field(
    label: str, words: str, say: Callable[[str], None], *, hint: str, mark: str
) -> Field:
    """Create the editor of a project's checks; `say` has a sentence read aloud."""
    field = ChecksField(label, hint=hint)
    with field.box:
        control = CheckRows(words, label, say)
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
                if session.may("change_commands", project.id):
                    button("Keep", self._keep, kind="small pri", mark="keep-checks")
                if session.may("change_project", project.id):
                    button("No", self._decline, kind="small", mark="decline-checks")
        self.show(project)

    def show(self, project: ProjectOut) -> None:
        """Show what is suggested, or nothing."""
        suggested = project.suggested_checks if project.archived_at is None else []
        rows = "".join(
            f"<li><code>{plain_html(command_words(one.command))}</code></li>" for one in suggested
        )
        self._list.set_content(f"<ul>{rows}</ul>")
        may_answer = self._session.may("change_project", self._id)
        self._box.set_visibility(bool(suggested) and may_answer)

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
