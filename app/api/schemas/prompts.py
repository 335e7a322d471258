"""Schemas of prompts and of the templates that make them."""

from __future__ import annotations

from pydantic import model_validator

from app.api.schemas.parts import Answer, Body, Moment, TaskText, Text


class PromptPreview(Answer):
    """The prompt that a run would get; `template` is null for the built-in text."""

    text: str
    template: str | None = None
    version: int | None = None
    bytes: int


class TurnOut(Answer):
    """The prompt that the agent got at the beginning of a turn."""

    n: int
    text: str
    template: str | None = None
    version: int | None = None
    at: Moment


class PromptOut(Answer):
    """The prompts that a run's agent got, turn by turn."""

    turns: list[TurnOut]


class NewTemplate(Body):
    """The body of `POST /projects/{id}/templates`.

    In the text, `{{issue.title}}` and other variables are replaced; unknown ones are refused.
    """

    name: Text
    text: TaskText
    default: bool = False


class TemplateChange(Body):
    """The body of `PATCH /projects/{id}/templates/{name}`; another text makes a new version."""

    text: TaskText | None = None
    default: bool | None = None

    @model_validator(mode="after")
    def _says_one(self) -> TemplateChange:
        if self.text is None and self.default is None:
            raise ValueError("Give a text, or whether it is the default.")
        return self


class TemplateOut(Answer):
    """A template of a project, in its newest version.

    `default` marks the one for runs without a task or an issue. `built_in` ones belong to every
    project, or are its setting `prompt`; they are not changed here.
    """

    name: str
    version: int
    text: str
    default: bool
    built_in: bool = False
    created_by: str | None = None
    created_at: Moment | None = None


class Templates(Answer):
    """A project's templates by name, the built-in ones first."""

    items: list[TemplateOut]
