"""The rows of a project's checks as people type them: a name, a command line, a timeout."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from app.api.schemas import CheckOut
from app.domain.projects.checks import CHECK_SECONDS
from app.domain.text.durations import clock_words, read_clock


class WrongField(ValueError):
    """A field of a row that cannot be read, with the sentence that says why."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


@dataclass
class CheckRow:
    """One row of the form, as typed."""

    name: str = ""
    command: str = ""
    timeout: str = clock_words(CHECK_SECONDS)
    required: bool = True

    @property
    def is_empty(self) -> bool:
        """True if nothing was typed yet: such a row is not saved."""
        return not (self.name.strip() or self.command.strip())

    def read(self) -> dict[str, Any]:
        """Return the check as the API takes it. Raises WrongField."""
        name = self.name.strip()
        if not name:
            raise WrongField("name", f"Give the check “{self.command.strip()}” a name.")
        try:
            command = shlex.split(self.command)
        except ValueError as error:
            sentence = f"A quote in the command of “{name}” is not closed."
            raise WrongField("command", sentence) from error
        if not command:
            raise WrongField("command", f"The command of “{name}” is missing.")
        try:
            seconds = read_clock(self.timeout) if self.timeout.strip() else CHECK_SECONDS
        except ValueError as error:
            raise WrongField("timeout", f"The timeout of “{name}”: {error}") from error
        return {
            "name": name,
            "command": command,
            "timeout_seconds": seconds,
            "required": self.required,
        }


def command_words(command: Sequence[str]) -> str:
    """Return a command as one line that reads back as its words."""
    return shlex.join(command)


def rows_of(words: str) -> list[CheckRow]:
    """Return the rows that a form's text holds."""
    return [CheckRow(**one) for one in json.loads(words)] if words else []


def words_of_rows(rows: Iterable[CheckRow]) -> str:
    """Return the text that a form keeps for these rows, empty if there are none."""
    kept = [asdict(one) for one in rows if not one.is_empty]
    return json.dumps(kept, ensure_ascii=False) if kept else ""


def words_of_checks(checks: Iterable[CheckOut]) -> str:
    """Return the text that a form keeps for a project's checks."""
    return words_of_rows(
        CheckRow(
            one.name, command_words(one.command), clock_words(one.timeout_seconds), one.required
        )
        for one in checks
    )


def checks_of_words(words: str) -> list[dict[str, Any]]:
    """Return the checks as the API takes them. Raises ValueError with a sentence."""
    return [one.read() for one in rows_of(words)]


def shown_checks(words: str) -> str:
    """Return the checks for display, one per line: `tests: make test (10:00, required)`."""
    return "\n".join(
        f"{one.name}: {one.command} ({one.timeout}, {'required' if one.required else 'optional'})"
        for one in rows_of(words)
    )
