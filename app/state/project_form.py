"""The form that adds a project: what was typed, what is wrong with it, and the body it makes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from app.api.client import ApiProblem
from app.api.schemas import NewProject
from app.domain.names import MAX_NAME, origin_problem, project_name_problem

FIELDS = frozenset(
    {
        "origin",
        "name",
        "agent",
        "agent_command",
        "base_branch",
        "setup_command",
        "budget_minutes",
        "prompt",
    }
)


def name_from(origin: str) -> str:
    """The name that a folder or an address suggests: its last part without `.git`."""
    last = re.split(r"[/:\\]", origin.strip().rstrip("/"))[-1]
    return last.removesuffix(".git")[:MAX_NAME]


def arguments_from(lines: str) -> list[str]:
    """A command of one argument a line; empty lines mean nothing."""
    return [line.strip() for line in lines.splitlines() if line.strip()]


class ProjectForm:
    """The form's texts by field name."""

    def __init__(self, typed: Mapping[str, str]) -> None:
        self._typed = {name: value.strip() for name, value in typed.items()}

    def _text(self, name: str) -> str:
        return self._typed.get(name, "")

    def problems(self) -> dict[str, str]:
        """What can be said without asking the server: a sentence per field."""
        found = {
            "origin": origin_problem(self._text("origin")),
            "name": project_name_problem(self._text("name")),
            "agent_command": self._command_problem(),
            "budget_minutes": self._budget_problem(),
        }
        return {name: sentence for name, sentence in found.items() if sentence}

    def _command_problem(self) -> str | None:
        is_missing = self._text("agent") == "script" and not self._text("agent_command")
        return "The script agent needs a command." if is_missing else None

    def _budget_problem(self) -> str | None:
        minutes = self._text("budget_minutes")
        is_number = bool(re.fullmatch(r"[0-9]{1,5}", minutes)) and int(minutes) > 0
        return None if not minutes or is_number else "Give whole minutes, 1 or more."

    def body(self) -> NewProject:
        """The body of `POST /projects`; what was left empty is left to the server."""
        given: dict[str, Any] = {
            name: self._text(name)
            for name in ("name", "origin", "agent", "base_branch", "prompt")
            if self._text(name)
        }
        for name in ("agent_command", "setup_command"):
            if arguments := arguments_from(self._text(name)):
                given[name] = arguments
        if minutes := self._text("budget_minutes"):
            given["budget_seconds"] = int(minutes) * 60
        return NewProject(**given)

    @staticmethod
    def blamed(problem: ApiProblem) -> dict[str, str]:
        """The fields that a refusal names, each with its sentence; none where it names no field."""
        if problem.code == "name_taken":
            return {"name": problem.detail}
        named: dict[str, str] = {}
        for error in problem.members.get("errors") or []:
            name = str(error.get("field", "")).rsplit(".", 1)[-1]
            name = "budget_minutes" if name == "budget_seconds" else name
            if name in FIELDS:
                named[name] = str(error.get("message", problem.detail))
        return named
