"""All settings of a project's page: labels, hints, formatting and parsing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.api.schemas import ProjectOut
from app.domain.projects.autoland import AUTOLAND_FIELDS
from app.domain.projects.setting import CODE, Kind, Part, ProjectSetting
from app.domain.projects.settings import PROJECT_SETTINGS
from app.domain.sandbox.settings import LIMIT_BOUNDS
from app.domain.text.argv import argv_words, read_argv
from app.domain.text.durations import clock_words, read_clock
from app.domain.words import BUILTIN, FRAMEWORKS
from app.state.projects.check_rows import checks_of_words, shown_checks, words_of_checks


@dataclass(frozen=True)
class Setting:
    """One field of the form: how the setting's value is written to text and read back.

    `read` raises ValueError with a sentence; None clears the setting.
    """

    about: ProjectSetting
    write: Callable[[ProjectOut], str]
    read: Callable[[str], Any]

    @property
    def is_many(self) -> bool:
        """True if several choices can be made, one per line."""
        return self.about.kind is Kind.CHOICES

    def in_words(self, written: str) -> str:
        """Return a written value for display: choices by their labels, a check per line."""
        if self.about.kind is Kind.CHECKS:
            return shown_checks(written)
        return "\n".join(self.about.labels.get(word, word) for word in written.split("\n"))


def _switch(is_on: bool | None) -> str:
    return "yes" if is_on else "no"


def _number(words: str) -> int | None:
    if words.strip() and not (words.strip().isascii() and words.strip().isdigit()):
        raise ValueError("Give a whole number.")
    return int(words) if words.strip() else None


def _lines(words: str) -> list[str]:
    return [line.strip() for line in words.splitlines() if line.strip()]


def _joined(values: list[Any]) -> str:
    return "\n".join(map(str, values))


def _line(words: str) -> str | None:
    return words.strip() or None


# a value as text, and text as a value; an empty value is an empty text
_FORMS: dict[Kind, tuple[Callable[[Any], str], Callable[[str], Any]]] = {
    Kind.LINE: (str, _line),
    Kind.BRANCH: (str, _line),
    Kind.TEXT: (str, lambda words: words if words.strip() else None),
    Kind.COMMAND: (argv_words, lambda words: read_argv(words) or None),
    Kind.SECONDS: (clock_words, lambda words: read_clock(words) if words.strip() else None),
    Kind.NUMBER: (str, _number),
    Kind.LIMIT: (str, _number),
    Kind.SWITCH: (_switch, lambda words: words == "yes"),
    Kind.CHOICE: (str, lambda words: words),
    Kind.CHOICES: (_joined, _lines),
    Kind.LINES: (_joined, _lines),
    Kind.CHECKS: (words_of_checks, checks_of_words),
}


def _value_in(project: ProjectOut, one: ProjectSetting) -> Any:
    if one.name == "frameworks":
        return [name for name in project.frameworks if name not in FRAMEWORKS]
    if one.part is Part.AUTOLAND:
        return getattr(project.autoland, AUTOLAND_FIELDS[one.name])
    return getattr(project.limits if one.part is Part.CAPS else project, one.name)


def _field_of(one: ProjectSetting) -> Setting:
    written, read = _FORMS[one.kind]

    def write(project: ProjectOut) -> str:
        value = _value_in(project, one)
        return "" if value is None else written(value)

    return Setting(one, write, read)


SETTINGS = {name: _field_of(one) for name, one in PROJECT_SETTINGS.items() if one.part is not None}


def has_setting(origin: str, name: str) -> bool:
    """Return True if a project with this origin has a setting: only local folders have hooks."""
    return name != "owner_hooks" or origin.startswith("/")


def is_code(name: str) -> bool:
    """Return True for a setting that is code on this machine, or decides what surrounds it."""
    return name in CODE or name in LIMIT_BOUNDS


def settings_in_words(
    project: ProjectOut, *, only_fixed: bool, with_code: bool = True
) -> list[tuple[str, str]]:
    """Return labels and values as text: only the fixed ones, or the editable ones as well.

    Without `with_code` those that are code count as fixed.
    """
    fixed = [
        ("Origin", project.origin),
        ("Tracker", project.tracker),
        ("ID", project.id),
    ]
    if only_fixed and with_code:
        return fixed
    is_at_forge = project.tracker != BUILTIN
    shown = [one for name, one in SETTINGS.items() if has_setting(project.origin, name)]
    if only_fixed:
        shown = [one for one in shown if is_code(one.about.name)]
    shown = [one for one in shown if is_at_forge or one.about.part is not Part.FORGE]
    told = [(one.about.label, _in_words(one, project)) for one in shown]
    return [*told, *fixed]


def _in_words(setting: Setting, project: ProjectOut) -> str:
    written = setting.write(project)
    return setting.in_words(written) if written else setting.about.empty
