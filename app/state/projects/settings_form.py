"""A project's settings as a form that others may change at the same time: nothing typed is lost."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import ValidationError

from app.api.client.client import ApiClient, ApiProblem, NoAnswer
from app.api.schemas import ProjectChange, ProjectOut
from app.state.page.text_input import blamed_by, refused_by
from app.state.projects.project_board import ProjectBoard
from app.state.projects.project_settings import SETTINGS
from app.state.projects.sandbox_settings import as_shown, settled


@dataclass
class _Field:
    """What is typed, what it was begun with, and what the server says now."""

    typed: str
    base: str
    theirs: str

    @property
    def is_edited(self) -> bool:
        return self.typed not in (self.base, self.theirs)

    def adopt(self) -> bool:
        """Go on from theirs; True where that shows something else."""
        moved = self.typed != self.theirs
        self.typed = self.base = self.theirs
        return moved


class SettingsForm:
    """What one person has typed, and what others have changed meanwhile.

    A field is followed until it is touched; from then on theirs is only told.
    """

    def __init__(self, project: ProjectOut) -> None:
        self._id = project.id
        self.busy = False
        self._focused = ""
        self._fields = {
            name: _Field(words, words, words)
            for name, words in ((one.name, one.write(project)) for one in SETTINGS.values())
        }

    def typed(self, name: str) -> str:
        """What a field shows."""
        return self._fields[name].typed

    def edited(self) -> list[str]:
        """The fields that hold something that is not saved."""
        return [name for name, field in self._fields.items() if field.is_edited]

    def disputed(self) -> dict[str, str]:
        """Edited fields that somebody else has changed meanwhile, each with theirs."""
        return {
            name: field.theirs
            for name, field in self._fields.items()
            if field.is_edited and field.theirs != field.base
        }

    def put(self, name: str, words: str) -> None:
        """Something was typed."""
        self._fields[name].typed = words

    def enter(self, name: str) -> None:
        """The cursor is in a field: it is not touched from outside."""
        self._focused = name

    def leave(self, name: str) -> set[str]:
        """The cursor has left a field; the name where it now shows what came meanwhile."""
        self._focused = "" if self._focused == name else self._focused
        return self._follow()

    def take(self, project: ProjectOut) -> set[str]:
        """Take in the project as it is now; the fields that show something else by that."""
        if self.busy:  # what it shows then are these very changes
            return set()
        for name, field in self._fields.items():
            field.theirs = SETTINGS[name].write(project)
        return self._follow()

    def take_theirs(self) -> set[str]:
        """Give up what is disputed; the fields that show something else by that."""
        return {name for name in self.disputed() if self._fields[name].adopt()}

    def discard(self) -> set[str]:
        """Give up everything that was typed; the fields that show something else by that."""
        return {name for name, field in self._fields.items() if field.adopt()}

    def check(self) -> tuple[dict[str, Any], dict[str, str]]:
        """What is to change, and what is wrong with it: a sentence a field, by the API's schema."""
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
        """Find what else is wrong with a change that its schema refuses; none is made."""
        try:
            ProjectChange.model_validate(change)
        except ValidationError:
            pass
        else:
            return {}
        try:
            await api.send("PATCH", f"/projects/{self._id}", body=change)
        except (ApiProblem, NoAnswer) as problem:
            return blamed_by(problem) if isinstance(problem, ApiProblem) else {}
        return {}

    async def save(self, api: ApiClient, board: ProjectBoard, change: dict[str, Any]) -> bool:
        """Show the change at once, send it, take it back where it is refused.

        False where something else of the project is being saved. Raises ApiProblem, NoAnswer.
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
        moved = set()
        for name, field in self._fields.items():
            if field.typed == field.theirs or (field.typed == field.base and name != self._focused):
                moved |= {name} if field.adopt() else set()
        return moved
