"""The checks of a project: commands that must pass before a run is delivered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from app.domain.safe_text import is_safe_name

MOST_CHECKS = 10
MAX_CHECK_NAME = 80
MAX_WORDS = 100
MAX_WORD = 4000
CHECK_SECONDS = 600
MAX_CHECK_SECONDS = 86400
CHECK_ROUNDS = 2
MAX_CHECK_ROUNDS = 5


class OnRed(StrEnum):
    """The end of a run whose required checks still fail: parked, or delivered as a draft."""

    PARK = "park"
    DELIVER = "deliver"


@dataclass(frozen=True)
class Check:
    """A command, run in the working copy; one that is not required never holds a delivery."""

    name: str
    command: tuple[str, ...]
    timeout_seconds: int = CHECK_SECONDS
    required: bool = True

    def as_data(self) -> dict[str, Any]:
        """Return the check as it is stored and sent."""
        return asdict(self) | {"command": list(self.command)}


def read_checks(stored: Iterable[Mapping[str, Any]] | None) -> tuple[Check, ...]:
    """Return checks as they are stored or sent, in order; what a check lacks has its default."""
    return tuple(map(_read_check, stored or ()))


def _read_check(stored: Mapping[str, Any]) -> Check:
    seconds, required = stored.get("timeout_seconds", CHECK_SECONDS), stored.get("required", True)
    return Check(stored["name"], tuple(stored["command"]), seconds, required)


def checks_problem(checks: Sequence[Check]) -> str | None:
    """Return why a project cannot have these checks, or None."""
    if len(checks) > MOST_CHECKS:
        return f"A project has at most {MOST_CHECKS} checks."
    for one in checks:
        if problem := _problem_of(one):
            return problem
    names = [one.name.casefold() for one in checks]
    twice = next((one.name for one in checks if names.count(one.name.casefold()) > 1), None)
    return f"Two checks are called “{twice}”: give each its own name." if twice else None


def _problem_of(check: Check) -> str | None:
    name = check.name
    if not name.strip():
        return "Give each check a name."
    if len(name) > MAX_CHECK_NAME:
        return f"The name of a check has at most {MAX_CHECK_NAME} characters."
    if name != name.strip() or not is_safe_name(name):
        return "The name of a check contains characters that cannot be printed."
    if problem := _command_problem(check.command):
        return f"The command of “{name}” {problem}"
    if not 1 <= check.timeout_seconds <= MAX_CHECK_SECONDS:
        return f"The timeout of “{name}” must be 1 to {MAX_CHECK_SECONDS:,} seconds."
    return None


def _command_problem(command: Sequence[str]) -> str | None:
    if not command or not command[0].strip():
        return "is missing."
    if len(command) > MAX_WORDS:
        return f"has more than {MAX_WORDS} words."
    if any("\0" in word for word in command):
        return "must not contain NUL."
    if any(len(word) > MAX_WORD for word in command):
        return f"has a word of more than {MAX_WORD:,} characters."
    return None


def not_started_words(name: str, because: str) -> str:
    """Return the hold of a project's loop for a check that could not be started."""
    return f"Check “{name}” could not be started: {because}"
