"""Refused form input: the fields that a refusal or an API schema names, with their messages."""

from __future__ import annotations

from pydantic import ValidationError

from app.api.client.client import ApiProblem
from app.api.schemas.sentences import sentence_of
from app.domain.json.objects import is_object


def blamed_by(problem: ApiProblem) -> dict[str, str]:
    """Return the fields that a refusal names, with its messages; empty if it names none."""
    if problem.code == "name_taken":
        return {"name": problem.detail}
    named: dict[str, str] = {}
    for error in filter(is_object, problem.members.get("errors") or ()):
        message = str(error.get("message", problem.detail))
        named.setdefault(_field_of(str(error.get("field", ""))), message)
    return named


def refused_by(error: ValidationError) -> dict[str, str]:
    """Return the fields that an API schema refuses, with the API's own messages."""
    named: dict[str, str] = {}
    for one in error.errors(include_url=False, include_input=False):
        path = ".".join(str(part) for part in one["loc"])
        named.setdefault(_field_of(path), sentence_of(one))
    return named


def messages_of(error: ValidationError) -> str:
    """Return all errors of an API schema in one line."""
    return " ".join(f"{name}: {sentence}" for name, sentence in refused_by(error).items())


def _field_of(path: str) -> str:
    # errors at `agent_command.0` show at the command's field; each limit and each rule of
    # autoland has its own field
    return path.removeprefix("limits.").removeprefix("autoland.").partition(".")[0]
