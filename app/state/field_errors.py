"""Which fields of a form are wrong, each with its sentence."""

from __future__ import annotations

from pydantic import ValidationError

from app.api.client import ApiProblem
from app.api.schemas.sentences import sentence_of


def blamed_by(problem: ApiProblem) -> dict[str, str]:
    """The fields that a refusal names; none where it names no field."""
    if problem.code == "name_taken":
        return {"name": problem.detail}
    named: dict[str, str] = {}
    for error in problem.members.get("errors") or []:
        message = str(error.get("message", problem.detail))
        named.setdefault(_field_of(str(error.get("field", ""))), message)
    return named


def refused_by(error: ValidationError) -> dict[str, str]:
    """The fields that a schema of the API refuses, in the words of the API."""
    named: dict[str, str] = {}
    for one in error.errors(include_url=False, include_input=False):
        path = ".".join(str(part) for part in one["loc"])
        named.setdefault(_field_of(path), sentence_of(one))
    return named


def told_of(error: ValidationError) -> str:
    """Everything that a schema of the API refuses, in one line."""
    return " ".join(f"{name}: {sentence}" for name, sentence in refused_by(error).items())


def _field_of(path: str) -> str:
    # `agent_command.0` is wrong at the field of the command, each limit has a field for itself
    return path.removeprefix("limits.").partition(".")[0]
