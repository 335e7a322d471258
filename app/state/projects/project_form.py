"""The form that adds a project: input, validation, and the request body."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from app.api.client.client import ApiProblem
from app.api.schemas import NewProject
from app.domain.names import MAX_NAME, origin_problem, project_name_problem
from app.domain.sandbox.levels import NetworkRule
from app.domain.sandbox.settings import LIMIT_BOUNDS
from app.domain.text.argv import read_argv
from app.state.page.refused_input import blamed_by
from app.state.projects.project_settings import SETTINGS
from app.state.projects.sandbox_settings import is_asked, settled

SURROUNDINGS = ("network", "allowed_hosts", "allow", "toolchains", *LIMIT_BOUNDS)
FIELDS = frozenset(
    {
        "origin",
        "tracker",
        "name",
        "agent",
        "agent_command",
        "base_branch",
        "setup_command",
        "budget_minutes",
        "prompt",
        "sandbox",
        *SURROUNDINGS,
    }
)


def name_from(origin: str) -> str:
    """Return the name that a folder or URL suggests: its last part without `.git`."""
    last = re.split(r"[/:\\]", origin.strip().rstrip("/"))[-1]
    return last.removesuffix(".git")[:MAX_NAME]


class ProjectForm:
    """The form's input by field name."""

    def __init__(self, typed: Mapping[str, str]) -> None:
        self._typed = {name: value.strip() for name, value in typed.items()}

    def _text(self, name: str) -> str:
        return self._typed.get(name, "")

    def problems(self) -> dict[str, str]:
        """Return the errors found without the server, one sentence per field."""
        found = {
            "origin": origin_problem(self._text("origin"), plain=True),
            "name": project_name_problem(self._text("name")),
            "agent_command": self._agent_problem() or self._argv_problem("agent_command"),
            "setup_command": self._argv_problem("setup_command"),
            "budget_minutes": self._budget_problem(),
        }
        return self._number_problems() | {
            name: sentence for name, sentence in found.items() if sentence
        }

    def _number_problems(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for name in LIMIT_BOUNDS:
            try:
                SETTINGS[name].read(self._text(name))
            except ValueError as error:
                found[name] = str(error)
        return found

    def _argv_problem(self, name: str) -> str | None:
        try:
            read_argv(self._text(name))
        except ValueError as error:
            return str(error)
        return None

    def _agent_problem(self) -> str | None:
        is_missing = self._text("agent") == "script" and not self._text("agent_command")
        return "The script agent needs a command." if is_missing else None

    def _budget_problem(self) -> str | None:
        minutes = self._text("budget_minutes")
        is_number = bool(re.fullmatch(r"[0-9]{1,5}", minutes)) and int(minutes) > 0
        return None if not minutes or is_number else "Give whole minutes, 1 or more."

    def body(self) -> NewProject:
        """Build the body of `POST /projects`; empty fields are left to the server's defaults."""
        given: dict[str, Any] = {
            name: self._text(name)
            for name in ("name", "origin", "tracker", "agent", "base_branch", "prompt")
            if self._text(name)
        }
        for name in ("agent_command", "setup_command"):
            if arguments := read_argv(self._text(name)):
                given[name] = arguments
        if minutes := self._text("budget_minutes"):
            given["budget_seconds"] = int(minutes) * 60
        return NewProject.model_validate(given | self._sandbox_settings())

    def _sandbox_settings(self) -> dict[str, Any]:
        """Return the given sandbox settings, without those that the chosen level ignores."""
        level, network = self._text("sandbox"), self._text("network")
        said = {"sandbox": level, "network": network}
        given = {
            name: SETTINGS[name].read(self._text(name))
            for name in SURROUNDINGS
            if self._text(name) and is_asked(name, said)
        }
        return settled(given, level, NetworkRule.ALL) | ({"sandbox": level} if level else {})

    @staticmethod
    def blamed(problem: ApiProblem) -> dict[str, str]:
        """Return the fields that a refusal names, each with its sentence; {} if it names none."""
        named = blamed_by(problem)
        if problem.code == "sandbox_unavailable":
            named["sandbox"] = problem.detail
        if "budget_seconds" in named:
            named["budget_minutes"] = named.pop("budget_seconds")
        return {name: sentence for name, sentence in named.items() if name in FIELDS}
