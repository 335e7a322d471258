"""A project's settings form that merges changes made by others without losing input."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import ValidationError

from app.api.client.client import ApiClient, ApiProblem, NoAnswer
from app.api.schemas import ProjectChange, ProjectOut
from app.state.page.refused_input import blamed_by, refused_by
from app.state.projects.project_board import ProjectBoard
from app.state.projects.project_settings import SETTINGS
from app.state.projects.sandbox_settings import as_shown, settled


@dataclass
class _Field:
    """Current input, the value it started from, and the server's current value."""

    typed: str
    base: str
    theirs: str

    @property
    def is_edited(self) -> bool:
        return self.typed not in (self.base, self.theirs)

    def adopt(self) -> bool:
        """Take over the server's value; return True if that changes the field."""
        moved = self.typed != self.theirs
        self.typed = self.base = self.theirs
        return moved


class SettingsForm:
    """The input of one person, merged with changes made by others.

    A field follows the server until it is edited; from then on, differences are only reported.
    """

    def __init__(self, project: ProjectOut) -> None:
        self._id = project.id
        self.busy = False
        self._focused = ""
        self._fields = {
            name: _Field(words, words, words)
            for name, words in ((name, one.write(project)) for name, one in SETTINGS.items())
        }

    def typed(self, name: str) -> str:
        """Return the text that a field shows."""
        return self._fields[name].typed

    def edited(self) -> list[str]:
        """Return the fields with unsaved input."""
        return [name for name, field in self._fields.items() if field.is_edited]

    def disputed(self) -> dict[str, str]:
        """Return the edited fields that others have changed as well, each with their value."""
        return {
            name: field.theirs
            for name, field in self._fields.items()
            if field.is_edited and field.theirs != field.base
        }

    def put(self, name: str, words: str) -> None:
        """Store the text typed into a field."""
        self._fields[name].typed = words

    def enter(self, name: str) -> None:
        """Mark a field as focused: changes by others do not update it."""
        self._focused = name

    def leave(self, name: str) -> set[str]:
        """Unmark a field; return it if it changes to a value that arrived while it was focused."""
        self._focused = "" if self._focused == name else self._focused
        return self._follow()

    def take(self, project: ProjectOut) -> set[str]:
        """Merge the project's current state; return the fields that change."""
        if self.busy:  # while saving, the project shown is the form's own pending change
            return set()
        for name, field in self._fields.items():
            field.theirs = SETTINGS[name].write(project)
        return self._follow()

    def take_theirs(self) -> set[str]:
        """Discard the input of disputed fields; return the fields that change."""
        return {name for name in self.disputed() if self._fields[name].adopt()}

    def discard(self) -> set[str]:
        """Discard all input; return the fields that change."""
        return {name for name, field in self._fields.items() if field.adopt()}

    def check(self) -> tuple[dict[str, Any], dict[str, str]]:
        """Return the change to save and its errors, one sentence per field, by the API's schema."""
        change: dict[str, Any] = {}
        wrong: dict[str, str] = {}
        for name in self.edited():
            setting = SETTINGS[name]
            try:
                value = setting.read(self.typed(name))
            except ValueError as error:
                wrong[name] = str(error)
                continue
            if value != setting.read(self._fields[name].theirs):
                change[name] = value
        change = settled(change, self.typed("sandbox"), self._fields["network"].theirs)
        try:
            ProjectChange.model_validate(change)
        except ValidationError as error:
            wrong = refused_by(error) | wrong
        return change, wrong

    async def ask_what_else(self, api: ApiClient, change: dict[str, Any]) -> dict[str, str]:
        """Return the server's errors for a change that the schema refuses; changes nothing."""
        try:
            ProjectChange.model_validate(change)
        except ValidationError:
            pass
        else:
            return {}
        try:
            await api.change_project(self._id, change)
        except (ApiProblem, NoAnswer) as problem:
            return blamed_by(problem) if isinstance(problem, ApiProblem) else {}
        return {}

    async def save(self, api: ApiClient, board: ProjectBoard, change: dict[str, Any]) -> bool:
        """Show the change at once, send it, and roll back if it is refused.

        Returns False while another change of the project is pending. Raises ApiProblem, NoAnswer.
        """
        sent = {name: self.typed(name) for name in self.edited()}
        body = ProjectChange.model_validate(change)
        act = partial(api.change_project, self._id, body)
        self.busy = True
        try:
            shown = as_shown(change, board.get(self._id))
            answer = await board.change(self._id, shown, act) if change else board.get(self._id)
        finally:
            self.busy = False
        if answer is None:
            return False
        for name, words in sent.items():
            self._fields[name].base = words
        return True

    def _follow(self) -> set[str]:
        moved: set[str] = set()
        for name, field in self._fields.items():
            if field.typed == field.theirs or (field.typed == field.base and name != self._focused):
                moved |= {name} if field.adopt() else set()
        return moved
